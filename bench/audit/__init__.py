"""Audit logs of seven kinds as companies keep them: everyday work, machines, natural rarities, and attacks on each."""
from .cloud_audit import CloudAudit
from .database_audit import DatabaseAudit
from .erp_changes import ErpChanges
from .file_server import FileServer
from .process_accounting import ProcessAccounting
from .vpn_sessions import VpnSessions
from .web_proxy import WebProxy

LOGS = [CloudAudit, FileServer, VpnSessions, DatabaseAudit, ErpChanges, WebProxy, ProcessAccounting]
