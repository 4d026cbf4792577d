//! The record: what stamps say, in one committed file instead of the jobs' descriptions (`record:` in the
//! configuration, DESIGN 5).
//!
//! Pure: text in, entries out, and back. One line for each key, so that two branches merge without a conflict unless
//! both wrote to the same job.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::stamp::{self, Found, Stamp};

/// The version of the file's form.
const FORMAT: u64 = 1;

/// What was applied last, by key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    entries: BTreeMap<String, Entry>,
}

/// What was applied last to one job.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    /// The live job that it was applied to, in small letters.
    id: String,
    stamp: Stamp,
}

impl Record {
    /// Reads a record's text.
    ///
    /// # Errors
    /// What is wrong with it, in words: it is a file that people commit and merge, so it is never silently ignored.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let document: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if document.get("format") != Some(&json!(FORMAT)) {
            return Err(format!(
                "its `format` is not {FORMAT}: it was written by another version of patchctl"
            ));
        }
        let owner = document.get("owner").and_then(Value::as_str).ok_or("its `owner` is missing")?;
        let jobs = document.get("jobs").and_then(Value::as_object).ok_or("its `jobs` are missing")?;
        let entries = jobs.iter().map(|(key, entry)| {
            let text = |name: &str| entry.get(name).and_then(Value::as_str);
            let line = format!("[patchctl:{owner}/{key} {}]", text("stamp").unwrap_or_default());
            match (text("id"), stamp::split(&line).1) {
                (Some(id), Found::Stamp(stamp)) => {
                    Ok((key.clone(), Entry { id: id.to_ascii_lowercase(), stamp }))
                }
                (_, _) => Err(format!("the entry of `{key}` can not be read")),
            }
        });
        Ok(Self { entries: entries.collect::<Result<_, _>>()? })
    }

    /// The record as a text, entries in the order of their keys.
    pub fn text(&self, owner: &str) -> String {
        let lines: Vec<String> = self
            .entries
            .iter()
            .map(|(key, Entry { id, stamp })| {
                let mut entry = Map::new();
                entry.insert("id".to_owned(), id.as_str().into());
                entry.insert("stamp".to_owned(), stamp.digests().into());
                format!("    {}: {}", Value::from(key.as_str()), Value::Object(entry))
            })
            .collect();
        let jobs = if lines.is_empty() { String::new() } else { format!("\n{}\n  ", lines.join(",\n")) };
        format!(
            "{{\n  \"format\": {FORMAT},\n  \"owner\": {},\n  \"jobs\": {{{jobs}}}\n}}\n",
            Value::from(owner)
        )
    }

    /// What was applied last to this job for this key.
    pub fn of_job(&self, key: &str, id: &str) -> Found {
        match self.entries.get(key) {
            Some(entry) if entry.id == id => Found::Stamp(entry.stamp.clone()),
            Some(_) | None => Found::None,
        }
    }

    /// Sets what was applied to a job.
    pub fn set(&mut self, key: &str, id: &str, stamp: Stamp) {
        self.entries.insert(key.to_owned(), Entry { id: id.to_owned(), stamp });
    }

    /// Drops what is known of a key.
    pub fn forget(&mut self, key: &str) {
        self.entries.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(owner: &str, key: &str) -> Stamp {
        let digest = |digit: &str| digit.repeat(8);
        Stamp {
            owner: owner.to_owned(),
            key: key.to_owned(),
            table_version: 1,
            declared: digest("a"),
            job: digest("b"),
            contents: digest("c"),
        }
    }

    #[test]
    fn writing_and_reading_are_inverse() {
        let mut record = Record::default();
        assert_eq!(Record::parse(&record.text("acme")), Ok(Record::default()));
        record.set("web", "id-1", stamp("acme", "web"));
        record.set("db", "id-2", stamp("acme", "db"));
        let text = record.text("acme");
        assert_eq!(
            text,
            "{\n  \"format\": 1,\n  \"owner\": \"acme\",\n  \"jobs\": {\n    \
             \"db\": {\"id\":\"id-2\",\"stamp\":\"1:aaaaaaaa:bbbbbbbb:cccccccc\"},\n    \
             \"web\": {\"id\":\"id-1\",\"stamp\":\"1:aaaaaaaa:bbbbbbbb:cccccccc\"}\n  }\n}\n"
        );
        assert_eq!(Record::parse(&text), Ok(record));
    }

    #[test]
    fn a_record_speaks_of_one_job_only() {
        let mut record = Record::default();
        record.set("web", "id-1", stamp("acme", "web"));
        assert_eq!(record.of_job("web", "id-1"), Found::Stamp(stamp("acme", "web")));
        assert_eq!(record.of_job("web", "id-2"), Found::None);
        assert_eq!(record.of_job("db", "id-1"), Found::None);
        record.forget("web");
        assert_eq!(record.of_job("web", "id-1"), Found::None);
    }

    #[test]
    fn a_damaged_record_is_an_error() {
        for (text, words) in [
            ("<<<<<<< HEAD", "expected value at line 1 column 1"),
            ("{}", "its `format` is not 1"),
            ("{\"format\": 2}", "its `format` is not 1"),
            ("{\"format\": 1}", "its `owner` is missing"),
            ("{\"format\": 1, \"owner\": \"a\"}", "its `jobs` are missing"),
            (
                "{\"format\": 1, \"owner\": \"a\", \"jobs\": {\"k\": {\"id\": \"x\", \"stamp\": \"1:2\"}}}",
                "the entry of `k`",
            ),
        ] {
            let error = Record::parse(text).expect_err("damaged");
            assert!(error.contains(words), "{error}");
        }
        assert_eq!(Record::parse(""), Ok(Record::default()));
    }
}
