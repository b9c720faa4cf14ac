"""Writes XLSX workbooks of one sheet in a stream, without more than Python's zipfile; texts are shared strings, as Excel has them."""
import csv
import zipfile
from xml.sax.saxutils import escape

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
DOCUMENT = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
DECLARATION = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
PARTS = {
    "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{TYPE}.sheet.main+xml"/>'
    f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{TYPE}.worksheet+xml"/>'
    f'<Override PartName="/xl/sharedStrings.xml" ContentType="{TYPE}.sharedStrings+xml"/></Types>',
    "_rels/.rels": f'<Relationships xmlns="{PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{DOCUMENT}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{DOCUMENT}"><sheets><sheet name="data" sheetId="1" r:id="rId1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{DOCUMENT}/worksheet" Target="worksheets/sheet1.xml"/>'
    f'<Relationship Id="rId2" Type="{DOCUMENT}/sharedStrings" Target="sharedStrings.xml"/></Relationships>',
}


def from_csv(source, target):
    """Writes the rows of a CSV file as a workbook; what reads as a number becomes one."""
    with open(source, newline="", encoding="utf-8") as rows, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as book:
        for name, content in PARTS.items():
            book.writestr(name, DECLARATION + content)
        strings = {}
        with book.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as sheet:
            sheet.write(f'{DECLARATION}<worksheet xmlns="{MAIN}"><sheetData>'.encode())
            for number, cells in enumerate(csv.reader(rows), 1):
                sheet.write(row(number, cells, strings).encode())
            sheet.write(b"</sheetData></worksheet>")
        with book.open("xl/sharedStrings.xml", "w", force_zip64=True) as shared:
            shared.write(f'{DECLARATION}<sst xmlns="{MAIN}" uniqueCount="{len(strings)}">'.encode())
            for text in strings:
                shared.write(f'<si><t xml:space="preserve">{escape(text)}</t></si>'.encode())
            shared.write(b"</sst>")


def row(number, cells, strings):
    """Returns a row as XML; adds its texts to the shared strings."""
    parts = [f'<row r="{number}">']
    for column, cell in enumerate(cells):
        if not cell:
            continue
        place = f"{letters(column)}{number}"
        if is_number(cell):
            parts.append(f'<c r="{place}"><v>{cell}</v></c>')
        else:
            parts.append(f'<c r="{place}" t="s"><v>{strings.setdefault(cell, len(strings))}</v></c>')
    parts.append("</row>")
    return "".join(parts)


def letters(column):
    """Returns a column's name: A to Z, then AA."""
    above, last = divmod(column, 26)
    return (letters(above - 1) if above else "") + chr(ord("A") + last)


def is_number(cell):
    try:
        return abs(float(cell)) < float("inf")
    except ValueError:
        return False
