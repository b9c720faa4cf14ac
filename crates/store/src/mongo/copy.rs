//! A database as something to be copied from or into (see `crate::copy`). Whoever is copied from needs no right to write.

use async_trait::async_trait;
use mongodb::{
    Collection, Cursor, Database,
    bson::{Binary, Bson, Document, RawDocumentBuf, doc, oid},
    error::{Error as DriverError, ErrorKind},
};
use sentinelflow_domain::{
    analysis::{Score, Severity},
    id::ObjectId,
    store::StoreError,
};
use sha2::{Digest as _, Sha256};

use super::{
    connect::{connect, prepare},
    errors::{DUPLICATE_KEY, damaged, store_error},
    exchanges::LEEWAY_MS,
    fields::{Fields, OddField, binary},
    ids::to_bson,
    logs, named,
    scans::Rows,
    writer::{ID_LEAD, IDEMPOTENCY_HOURS},
};
use crate::copy::{
    Condition, CopyError, House, PAGE_BYTES, PAGE_RECORDS, Page,
    record::{Field, Form, Kind, Record, Value, called, key_from_bytes, key_to_bytes},
};

/// The document that marks an unfinished copy.
const MARK: &str = "unfinished_copy";
/// All counters of a copy are those of one run, which no node has.
const RUN: oid::ObjectId = oid::ObjectId::from_bytes([0; 12]);

/// A database that is copied from or into.
pub(crate) struct MongoHouse {
    database: Database,
    identity: String,
}

/// Whether the database is an unfinished copy of another store.
pub(super) async fn is_unfinished(database: &Database) -> Result<bool, DriverError> {
    let meta: Collection<Document> = database.collection(named::META);
    Ok(meta.find_one(doc! { "_id": MARK }).await?.is_some())
}

impl MongoHouse {
    /// Reaches the database to be copied from.
    pub(crate) async fn reach_existing(url: &str) -> Result<Self, CopyError> {
        let side = |source| CopyError::Mongo { side: "FROM", source };
        let (_, database) = connect(url).await.map_err(side)?;
        let listed = database.list_collections().filter(doc! { "name": named::TENANTS });
        let mut listed = listed.await.map_err(|error| side(error.into()))?;
        // A collection has a name of its own that it is given when it is made.
        let is_listed = listed.advance().await.map_err(|error| side(error.into()))?;
        let tenants = is_listed.then(|| listed.deserialize_current()).transpose();
        let tenants = tenants.map_err(|error| side(error.into()))?.ok_or(CopyError::NothingToCopy)?;
        let uuid = tenants.info.uuid.ok_or(CopyError::NothingToCopy)?;
        let identity = format!("mongodb {}", Value::Bytes(uuid.bytes));
        Ok(Self { database, identity })
    }

    /// Reaches the database to be copied into; nothing of it is made yet.
    pub(crate) async fn reach(url: &str) -> Result<Self, CopyError> {
        let (_, database) = connect(url).await.map_err(|source| CopyError::Mongo { side: "TO", source })?;
        Ok(Self { database, identity: String::new() })
    }

    fn collection(&self, name: &str) -> Collection<RawDocumentBuf> {
        self.database.collection(name)
    }

    fn documents(&self, name: &str) -> Collection<Document> {
        self.database.collection(name)
    }

    /// Returns what a collection holds within a bound, in the order of `_id`.
    async fn behind(
        &self,
        name: &str,
        bound: Option<Document>,
        most: usize,
    ) -> Result<Cursor<RawDocumentBuf>, CopyError> {
        let query = bound.map(|bound| doc! { "_id": bound }).unwrap_or_default();
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let collection = self.collection(name);
        collection.find(query).sort(doc! { "_id": 1 }).limit(most).await.map_err(failed)
    }

    /// Returns a page of a kind of which each document is a record.
    async fn plain_page(&self, kind: Kind, after: Option<&[Value]>) -> Result<Vec<Record>, CopyError> {
        let bound = after.map(|after| doc! { "$gt": id_of(kind, after) });
        let mut found = self.behind(&kind.table(), bound, PAGE_RECORDS).await?;
        let mut page = Vec::new();
        let mut bytes = 0;
        while bytes < PAGE_BYTES && found.advance().await.map_err(failed)? {
            let fields = Fields(found.current());
            let record = plain_record(kind, fields).map_err(|error| unreadable(kind, fields, error))?;
            bytes += record.size_bytes();
            page.push(record);
        }
        Ok(page)
    }

    async fn lead(&self, after: Option<&[Value]>) -> Result<Vec<Record>, CopyError> {
        if after.is_some() {
            return Ok(Vec::new());
        }
        let lead = self.collection(named::META).find_one(doc! { "_id": ID_LEAD }).await.map_err(failed)?;
        let seconds = lead.map(|lead| Fields(&lead).int("value")).transpose()?.unwrap_or(0);
        Ok(vec![Record { key: vec![Value::Text(ID_LEAD.to_owned())], fields: vec![Value::Int(seconds)] }])
    }

    /// Adds up the counters of all runs.
    async fn of_all_runs(&self, kind: Kind, after: Option<&[Value]>) -> Result<Vec<Record>, CopyError> {
        let bound = after.map(|after| {
            let mut last = document(kind.key(), after);
            last.insert("run", Bson::MaxKey);
            doc! { "$gt": last }
        });
        let query = bound.map(|bound| doc! { "_id": bound }).unwrap_or_default();
        // Not limited: there are as many documents of a minute or a day as runs of nodes.
        let counters = self.collection(&kind.table());
        let mut found = counters.find(query).sort(doc! { "_id": 1 }).await.map_err(failed)?;
        let mut page: Vec<Record> = Vec::new();
        while found.advance().await.map_err(failed)? {
            let fields = Fields(found.current());
            let record = plain_record(kind, fields).map_err(|error| unreadable(kind, fields, error))?;
            let is_full = page.len() == PAGE_RECORDS;
            match page.last_mut().filter(|last| last.key == record.key) {
                Some(last) => add_up(kind, last, &record),
                None if is_full => break,
                None => page.push(record),
            }
        }
        Ok(page)
    }

    /// Returns rows of the scans that are done, those to which a scan leads.
    async fn scan_threats(&self, after: Option<&[Value]>) -> Result<Vec<Record>, CopyError> {
        let kind = Kind::ScanThreats;
        let mut query = doc! { "status": "done" };
        let (begun, last_rank) = match after {
            Some([Value::Id(scan), Value::Int(rank)]) => (Some(*scan), *rank),
            _ => (None, -1),
        };
        if let Some(begun) = begun {
            query.insert("_id", doc! { "$gte": to_bson(begun) });
        }
        let scans = self.collection(named::SCANS);
        let found = scans.find(query).sort(doc! { "_id": 1 });
        let mut scans = found.projection(doc! { "content": 1 }).await.map_err(failed)?;
        let mut page = Vec::new();
        let mut bytes = 0;
        while scans.advance().await.map_err(failed)? {
            let fields = Fields(scans.current());
            let rows = rows_of(fields).map_err(|error| unreadable(Kind::Scans, fields, error))?;
            let first = if begun == Some(rows.scan) { last_rank + 1 } else { 0 };
            let range = rows.range(u64::try_from(first).unwrap_or(0));
            let most = i64::try_from(PAGE_RECORDS - page.len()).unwrap_or(i64::MAX);
            let threats = self.collection(named::SCAN_THREATS);
            let mut found = threats.find(range).sort(doc! { "_id": 1 }).limit(most).await.map_err(failed)?;
            while bytes < PAGE_BYTES && found.advance().await.map_err(failed)? {
                let fields = Fields(found.current());
                let record = plain_record(kind, fields).map_err(|error| unreadable(kind, fields, error))?;
                bytes += record.size_bytes();
                page.push(record);
            }
            if page.len() >= PAGE_RECORDS || bytes >= PAGE_BYTES {
                break;
            }
        }
        Ok(page)
    }

    /// Returns the pieces of baselines behind one.
    async fn pieces(&self, after: Option<&[Value]>) -> Result<Vec<Record>, CopyError> {
        let (begun, last_place) = match after {
            Some([of @ .., Value::Int(place)]) => (Some(of.to_vec()), *place),
            _ => (None, -1),
        };
        let bound = begun.as_ref().map(|of| doc! { "$gte": id_of(Kind::Baselines, of) });
        let mut baselines = self.behind(named::BASELINES, bound, PAGE_RECORDS).await?;
        let mut page = Vec::new();
        let mut bytes = 0;
        while bytes < PAGE_BYTES && baselines.advance().await.map_err(failed)? {
            let fields = Fields(baselines.current());
            let read = || {
                let key = key_of(Kind::Baselines, fields)?;
                Ok((key, to_bson(fields.id("content")?)))
            };
            let (of, content) = read().map_err(|error| unreadable(Kind::Baselines, fields, error))?;
            let mut last = if begun.as_ref() == Some(&of) { last_place } else { -1 };
            while bytes < PAGE_BYTES {
                let place = |place: i64| doc! { "content": content, "place": place };
                let range = doc! { "$gt": place(last), "$lte": place(i64::MAX) };
                // One at a time: each is large.
                let mut found = self.behind(named::BASELINE_PIECES, Some(range), 1).await?;
                if !found.advance().await.map_err(failed)? {
                    break;
                }
                let fields = Fields(found.current());
                let read = || {
                    let place = fields.document("_id")?.int("place")?;
                    Ok((place, fields.bytes("bytes")?.to_vec()))
                };
                let (place, piece) =
                    read().map_err(|error| unreadable(Kind::BaselinePieces, fields, error))?;
                last = place;
                bytes += piece.len();
                let key = of.iter().cloned().chain([Value::Int(place)]).collect();
                page.push(Record { key, fields: vec![Value::Bytes(piece)] });
            }
        }
        Ok(page)
    }

    async fn add(&self, page: &Page) -> Result<(), CopyError> {
        let kind = page.kind;
        let unwritable = |source| CopyError::Unwritable { kind, name: called(page.last()), source };
        if kind == Kind::Lead {
            let value = page.records.first().and_then(|record| record.fields.first()).and_then(Value::int);
            let lead = doc! { "$set": { "value": value } };
            let meta = self.documents(named::META);
            return meta
                .update_one(doc! { "_id": ID_LEAD }, lead)
                .upsert(true)
                .await
                .map(drop)
                .map_err(failed);
        }
        // As bytes at once: a document of names and values takes several times as many.
        let documents = page.records.iter().map(|record| RawDocumentBuf::try_from(stored(kind, record)));
        let documents: Vec<_> =
            documents.collect::<Result<_, _>>().map_err(|error| unwritable(damaged(error)))?;
        // Whatever was added before this copy was broken off is there already.
        match self.collection(&kind.table()).insert_many(documents).ordered(false).await {
            Err(error) if !says_only_that_some_are_there(&error) => Err(unwritable(store_error(error))),
            _ => Ok(()),
        }
    }
}

fn failed(error: DriverError) -> CopyError {
    CopyError::Store(store_error(error))
}

fn says_only_that_some_are_there(error: &DriverError) -> bool {
    let ErrorKind::InsertMany(faults) = &*error.kind else { return false };
    let mut faults_of_documents = faults.write_errors.iter().flatten();
    faults.write_concern_error.is_none() && faults_of_documents.all(|fault| fault.code == DUPLICATE_KEY)
}

fn unreadable(kind: Kind, fields: Fields<'_>, error: StoreError) -> CopyError {
    let name = match key_of(kind, fields) {
        Ok(key) => called(&key),
        Err(_) => format!("{:?}", fields.0.get("_id")),
    };
    CopyError::Unreadable { kind, name, source: Box::new(error) }
}

#[async_trait]
impl House for MongoHouse {
    fn identity(&self) -> &str {
        &self.identity
    }

    async fn condition(&self) -> Result<Condition, CopyError> {
        let mark = self.collection(named::META).find_one(doc! { "_id": MARK }).await.map_err(failed)?;
        if let Some(mark) = mark {
            let mark = Fields(&mark);
            let source = mark.text("source")?.to_owned();
            let Some(kind) = mark.text_if_any("kind")? else {
                return Ok(Condition::Unfinished { source, last: None });
            };
            let last = Kind::named(kind).zip(key_from_bytes(mark.bytes("last")?));
            return Ok(Condition::Unfinished { source, last });
        }
        for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Lead) {
            if self.collection(&kind.table()).find_one(doc! {}).await.map_err(failed)?.is_some() {
                return Ok(Condition::Settled);
            }
        }
        Ok(Condition::Empty)
    }

    async fn origins(&self) -> Result<Vec<[u8; 5]>, CopyError> {
        // Behind eight digits of seconds stand ten of the origin. Only the index is read.
        let origin = doc! { "$substrBytes": [{ "$toString": "$_id" }, 8, 10] };
        let group = vec![
            doc! { "$sort": { "_id": 1 } },
            doc! { "$project": { "_id": 1 } },
            doc! { "$group": { "_id": origin, "example": { "$first": "$_id" } } },
        ];
        let mut origins = Vec::new();
        for name in [named::TENANTS, named::LOGS, named::SCANS] {
            let mut found = self.documents(name).aggregate(group.clone()).await.map_err(failed)?;
            while found.advance().await.map_err(failed)? {
                origins.push(Fields(found.current()).id("example")?.origin());
            }
        }
        origins.sort_unstable();
        origins.dedup();
        Ok(origins)
    }

    async fn count_unfinished_scans(&self) -> Result<u64, CopyError> {
        let unfinished = doc! { "status": { "$in": ["queued", "running"] } };
        self.documents(named::SCANS).count_documents(unfinished).await.map_err(failed)
    }

    async fn page(&self, kind: Kind, after: Option<&[Value]>) -> Result<Vec<Record>, CopyError> {
        match kind {
            Kind::Lead => self.lead(after).await,
            Kind::MinuteCounts | Kind::Spends => self.of_all_runs(kind, after).await,
            Kind::ScanThreats => self.scan_threats(after).await,
            Kind::BaselinePieces => self.pieces(after).await,
            _ => self.plain_page(kind, after).await,
        }
    }

    async fn move_in(&self, source: &str, _origins: &[[u8; 5]]) -> Result<(), CopyError> {
        prepare(&self.database)
            .await
            .map_err(|error| CopyError::Mongo { side: "TO", source: error.into() })?;
        let mark = doc! { "_id": MARK, "source": source };
        self.documents(named::META).insert_one(mark).await.map(drop).map_err(failed)
    }

    async fn put(&self, page: &Page) -> Result<(), CopyError> {
        if !is_unfinished(&self.database).await.map_err(failed)? {
            return Err(CopyError::MarkLost);
        }
        self.add(page).await?;
        let place = doc! { "kind": page.kind.as_str(), "last": binary(&key_to_bytes(page.last())) };
        let meta = self.documents(named::META);
        let noted = meta.update_one(doc! { "_id": MARK }, doc! { "$set": place }).await.map_err(failed)?;
        if noted.matched_count == 0 { Err(CopyError::MarkLost) } else { Ok(()) }
    }

    async fn settle(&self) -> Result<(), CopyError> {
        // Until now nothing could expire: what is left of the time of keys and verdicts begins to count.
        let day_ms = IDEMPOTENCY_HOURS * 3_600_000;
        let expiries = [
            (named::KEYS, doc! { "$add": [{ "$toDate": "$log" }, day_ms] }),
            (named::VERDICTS, doc! { "$add": ["$expires_at", LEEWAY_MS] }),
        ];
        for (name, remove_at) in expiries {
            let without = doc! { "remove_at": { "$exists": false } };
            let expire = vec![doc! { "$set": { "remove_at": remove_at } }];
            self.documents(name).update_many(without, expire).await.map_err(failed)?;
        }
        let removed = self.documents(named::META).delete_one(doc! { "_id": MARK }).await.map_err(failed)?;
        if removed.deleted_count == 0 { Err(CopyError::MarkLost) } else { Ok(()) }
    }
}

/// Returns the `_id` of a record.
fn id_of(kind: Kind, key: &[Value]) -> Bson {
    match (kind.key(), key) {
        ([field], [value]) => bson(field.form, value),
        (fields, values) => Bson::Document(document(fields, values)),
    }
}

fn document(fields: &[Field], values: &[Value]) -> Document {
    let there = fields.iter().zip(values).filter(|(_, value)| **value != Value::Nothing);
    there.map(|(field, value)| (field.name.to_owned(), bson(field.form, value))).collect()
}

fn bson(form: Form, value: &Value) -> Bson {
    match value {
        Value::Nothing => Bson::Null,
        Value::Int(number) => match (form, i32::try_from(*number)) {
            (Form::Small, Ok(small)) => Bson::Int32(small),
            (Form::Moment, _) => Bson::DateTime(mongodb::bson::DateTime::from_millis(*number)),
            _ => Bson::Int64(*number),
        },
        Value::Real(bits) => Bson::Double(f64::from_bits(*bits)),
        Value::Text(text) => Bson::String(text.clone()),
        Value::Bytes(bytes) => Bson::Binary(binary(bytes)),
        Value::Id(id) => Bson::ObjectId(to_bson(*id)),
    }
}

/// Returns a record's document as the store's other files make it.
fn stored(kind: Kind, record: &Record) -> Document {
    let mut document = document(kind.fields(), &record.fields);
    document.insert("_id", id_of(kind, &record.key));
    let id = record.key.first().and_then(Value::id).unwrap_or(ObjectId::LOWEST);
    match kind {
        Kind::Tenants => {
            let username = record.field(kind, "username").text().unwrap_or_default();
            document.insert("folded", username.to_ascii_lowercase());
            document.remove("api_keys");
            let hashes = record.field(kind, "api_keys").bytes().unwrap_or_default();
            if !hashes.is_empty() {
                let hashes: Vec<Binary> = hashes.chunks(32).map(binary).collect();
                document.insert("api_keys", hashes);
            }
        }
        Kind::Logs => {
            let score = record.field(kind, "score").int().and_then(|score| u8::try_from(score).ok());
            let is_threat = Score::saturating(score.unwrap_or_default()) >= Severity::Low.lowest_score();
            if record.field(kind, "resolved_at") != &Value::Nothing {
                document.insert("status", logs::RESOLVED);
            } else if is_threat {
                document.insert("status", logs::ACTIVE);
            }
        }
        Kind::MinuteCounts | Kind::Spends => {
            let mut place = self::document(kind.key(), &record.key);
            place.insert("run", RUN);
            document.insert("_id", place);
        }
        // The scan's own id tells its rows from those of other attempts: in a copy there are none.
        Kind::Scans if record.field(kind, "status").text() == Some("done") => {
            document.insert("content", to_bson(id));
        }
        Kind::ScanThreats => {
            let rank = record.key.get(1).and_then(Value::int);
            document.insert("_id", Rows { scan: id, content: to_bson(id) }.id(rank));
        }
        Kind::Baselines => {
            document.insert("content", content_of(&record.key));
        }
        Kind::BaselinePieces => {
            let [of @ .., place] = record.key.as_slice() else { return document };
            document.insert("_id", doc! { "content": content_of(of), "place": place.int() });
        }
        _ => {}
    }
    document
}

/// Names the pieces of a baseline: the same whenever the copy is taken up again.
fn content_of(baseline: &[Value]) -> oid::ObjectId {
    let hash = Sha256::digest(key_to_bytes(baseline));
    let name = hash.first_chunk().expect("a hash is longer than an id");
    oid::ObjectId::from_bytes(*name)
}

fn plain_record(kind: Kind, fields: Fields<'_>) -> Result<Record, StoreError> {
    let values = kind.fields().iter().map(|field| value(fields, field));
    Ok(Record { key: key_of(kind, fields)?, fields: values.collect::<Result<_, _>>()? })
}

fn key_of(kind: Kind, fields: Fields<'_>) -> Result<Vec<Value>, StoreError> {
    match kind.key() {
        [field] => Ok(vec![value(fields, &Field { name: "_id", ..*field })?]),
        several => {
            let id = fields.document("_id")?;
            several.iter().map(|field| value(id, field)).collect()
        }
    }
}

fn value(fields: Fields<'_>, field: &Field) -> Result<Value, StoreError> {
    let name = field.name;
    let value = match field.form {
        _ if name == "api_keys" => Some(Value::Bytes(api_keys(fields)?)),
        Form::Id => Some(Value::Id(fields.id(name)?)),
        Form::Bytes => Some(Value::Bytes(fields.bytes(name)?.to_vec())),
        Form::Int | Form::Small => fields.int_if_any(name)?.map(Value::Int),
        Form::Moment => fields.moment_if_any(name)?.map(|moment| Value::Int(moment.as_millis())),
        Form::Real => fields.double_if_any(name)?.map(|number| Value::Real(number.to_bits())),
        Form::Text => fields.text_if_any(name)?.map(|text| Value::Text(text.to_owned())),
    };
    match value {
        Some(value) => Ok(value),
        None if field.is_optional => Ok(Value::Nothing),
        None => Err(damaged(OddField(name.to_owned()))),
    }
}

/// Returns the hashes of a tenant's keys one after the other, in order.
fn api_keys(fields: Fields<'_>) -> Result<Vec<u8>, StoreError> {
    let odd = || damaged(OddField("api_keys".to_owned()));
    let Some(keys) = fields.0.get("api_keys").map_err(damaged)? else { return Ok(Vec::new()) };
    let keys = keys.as_array().ok_or_else(odd)?.into_iter();
    let hashes = keys.map(|key| {
        let hash = key.map_err(damaged)?;
        hash.as_binary().map(|hash| hash.bytes.to_vec()).filter(|hash| hash.len() == 32).ok_or_else(odd)
    });
    let mut hashes = hashes.collect::<Result<Vec<_>, _>>()?;
    hashes.sort_unstable();
    Ok(hashes.concat())
}

fn rows_of(scan: Fields<'_>) -> Result<Rows, StoreError> {
    Ok(Rows { scan: scan.id("_id")?, content: to_bson(scan.id("content")?) })
}

/// Adds the counters of another run.
fn add_up(kind: Kind, sum: &mut Record, of_run: &Record) {
    let counters = kind.fields().iter().zip(sum.fields.iter_mut().zip(&of_run.fields));
    for (field, (sum, more)) in counters {
        let (so_far, more) = (sum.int().unwrap_or(0), more.int().unwrap_or(0));
        let is_highest = field.name == "max_score";
        *sum = Value::Int(if is_highest { so_far.max(more) } else { so_far.saturating_add(more) });
    }
}
