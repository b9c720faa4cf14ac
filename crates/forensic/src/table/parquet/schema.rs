//! Which columns a Parquet file's schema comes to.

use parquet::{
    basic::Repetition,
    schema::types::{SchemaDescriptor, Type},
};

/// A column of the table.
pub(super) struct Leaf {
    /// The names of the groups that it lies in and its own, joined by dots.
    pub(super) name: String,
    /// Which of the file's columns it is read from; none where each row holds a list of values.
    pub(super) column: Option<usize>,
}

/// So many names are told in a note.
const MOST_NAMED: usize = 10;

pub(super) fn leaves(schema: &SchemaDescriptor) -> Vec<Leaf> {
    let mut leaves: Vec<Leaf> = Vec::new();
    for (place, column) in schema.columns().iter().enumerate() {
        let parts = column.path().parts();
        if column.max_rep_level() == 0 {
            leaves.push(Leaf { name: parts.join("."), column: Some(place) });
            continue;
        }
        let name = list_name(schema.root_schema(), parts);
        // A list of groups, or a map, has several columns in the file and is one here.
        if leaves.last().is_none_or(|last| last.column.is_some() || last.name != name) {
            leaves.push(Leaf { name, column: None });
        }
    }
    leaves
}

/// The names down to what is repeated; the usual wrapping of a list (`tags.list.element`) has its name outside.
fn list_name(root: &Type, parts: &[String]) -> String {
    let mut group = root;
    let mut names = Vec::new();
    for part in parts {
        let member = group.get_fields().iter().find(|member| member.name() == part);
        let Some(member) = member else { break };
        let is_repeated = member.get_basic_info().repetition() == Repetition::REPEATED;
        if is_repeated && !names.is_empty() {
            break;
        }
        names.push(part.as_str());
        if is_repeated || member.is_primitive() {
            break;
        }
        group = member;
    }
    names.join(".")
}

/// Says which columns are not read.
pub(super) fn unread_note(leaves: &[Leaf]) -> Option<String> {
    let unread: Vec<&Leaf> = leaves.iter().filter(|leaf| leaf.column.is_none()).collect();
    let named: Vec<String> = unread
        .iter()
        .take(MOST_NAMED)
        .map(|leaf| format!("“{}”", super::super::shown::shown(&leaf.name)))
        .collect();
    let rest = unread.len() - named.len();
    let and_more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    (!unread.is_empty()).then(|| {
        format!("lists are not read, so these columns count as empty: {}{and_more}", named.join(", "))
    })
}
