//! The list of jobs: which rows a query reaches, in which order, on which page (REFERENCE section 4).

use std::cmp::Reverse;
use std::collections::HashMap;

use serde_json::{Value, json};

use super::behaviour::{Behaviour, ListOrder, ListShape, PageZero};
use super::refusal::Refusal;
use super::stored::{StoredJob, number, text};

/// What a list call asks for; parameters that are not known are ignored, as the API does.
#[derive(Debug)]
pub(super) struct Query {
    platform: String,
    /// As sent, without regard to the number of the first page.
    page_number: Option<usize>,
    page_size: usize,
}

/// Rows of a page when `pageSize` is not given (REFERENCE section 4).
const DEFAULT_PAGE_SIZE: usize = 10;

impl Query {
    /// Reads a query string; without a valid `platform`, or with numbers that are none, it is refused.
    pub(super) fn parse(query: &str) -> Result<Self, Refusal> {
        let given: HashMap<_, _> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let platform = match given.get("platform").map(String::as_str) {
            Some(platform @ ("Windows" | "Linux")) => platform.to_owned(),
            Some(other) => {
                return Err(Refusal::invalid(format!("platform must be Windows or Linux, not `{other}`")));
            }
            None => return Err(Refusal::invalid("platform is mandatory")),
        };
        let whole = |name: &str| {
            given
                .get(name)
                .map(|text| text.parse().map_err(|_| Refusal::invalid(format!("{name} must be a number"))))
        };
        let page_size = whole("pageSize").transpose()?.unwrap_or(DEFAULT_PAGE_SIZE);
        if page_size == 0 {
            return Err(Refusal::invalid("pageSize must be more than 0"));
        }
        Ok(Self { platform, page_number: whole("pageNumber").transpose()?, page_size })
    }
}

/// The jobs of one page, in order.
pub(super) fn page<'a>(
    jobs: impl Iterator<Item = &'a StoredJob>,
    query: &Query,
    behaviour: &Behaviour,
) -> Result<Vec<&'a StoredJob>, Refusal> {
    let mut found: Vec<&StoredJob> = jobs
        .filter(|stored| text(&stored.job, "platform") == query.platform)
        .filter(|stored| behaviour.list_deleted || !stored.deleted)
        .collect();
    match behaviour.list_order {
        ListOrder::Newest => found.sort_by_cached_key(|stored| {
            let created = number(stored.job.get("createdBy").and_then(|by: &Value| by.get("date")));
            (Reverse(created), stored.id())
        }),
        ListOrder::Name => found.sort_by_key(|stored| (text(&stored.job, "name"), stored.id())),
    }
    let page_size = query.page_size.min(behaviour.max_page_size.unwrap_or(usize::MAX)).max(1);
    let number = query.page_number.unwrap_or(behaviour.first_page);
    if behaviour.list_breaks_at.is_some_and(|broken| number >= broken) {
        return Err(Refusal::internal(format!("page {number} cannot be shown")));
    }
    let index = match number.checked_sub(behaviour.first_page) {
        Some(index) => index,
        None => match behaviour.page_zero {
            PageZero::AsFirst => 0,
            PageZero::Empty => return Ok(Vec::new()),
            PageZero::Refuse => return Err(Refusal::invalid("pageNumber must be 1 or more")),
        },
    };
    // A page that only repeated the one before would never come to an end.
    let n_repeated = behaviour.list_repeats.min(page_size - 1);
    let first = index.saturating_mul(page_size - n_repeated);
    if let Some(limit) = behaviour.record_limit {
        if first >= limit && found.len() > limit {
            return Err(Refusal::past_the_limit(limit));
        }
        found.truncate(limit);
    }
    Ok(found.into_iter().skip(first).take(page_size).collect())
}

/// Rows as they are answered.
pub(super) fn answered(mut rows: Vec<Value>, behaviour: &Behaviour) -> Value {
    if behaviour.list_counters_as_text {
        for (name, value) in rows.iter_mut().filter_map(Value::as_object_mut).flatten() {
            let is_counter = name.ends_with("Count") || name == "completionPercent";
            if let (true, Value::Number(number)) = (is_counter, &*value) {
                *value = number.to_string().into();
            }
        }
    }
    match behaviour.list_shape {
        ListShape::Array => Value::Array(rows),
        ListShape::Data => json!({ "data": rows }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Jobs `0` to `6`, created in that order, except that 5 and 6 were created at one instant; 3 is a Linux job, 4
    /// is deleted; names run against the order of creation.
    fn jobs() -> Vec<StoredJob> {
        (0..7)
            .map(|n| {
                let platform = if n == 3 { "Linux" } else { "Windows" };
                let job = json!({"id": n.to_string(), "name": format!("job {}", 9 - n), "platform": platform,
                    "createdBy": {"date": n.min(5)}});
                let job = job.as_object().expect("an object").clone();
                StoredJob { job, deleted: n == 4, ..StoredJob::default() }
            })
            .collect()
    }

    #[track_caller]
    fn check_with(behaviour: &Behaviour, query: &str, expected: &str) {
        let jobs = jobs();
        let rows =
            page(jobs.iter(), &Query::parse(query).expect("a valid query"), behaviour).expect("a page");
        assert_eq!(rows.iter().map(|row| row.id()).collect::<Vec<_>>().join(" "), expected);
    }

    #[test]
    fn pages_are_cut_from_one_order() {
        #[track_caller]
        fn check(query: &str, expected: &str) {
            check_with(&Behaviour::default(), query, expected);
        }
        check("platform=Windows", "5 6 2 1 0");
        check("platform=Linux&filter=x&nonsense", "3");
        check("platform=Windows&pageSize=2", "5 6");
        check("platform=Windows&pageSize=2&pageNumber=1", "2 1");
        check("platform=Windows&pageSize=2&pageNumber=2", "0");
        check("platform=Windows&pageSize=2&pageNumber=3", "");
        check("platform=Windows&pageSize=2&pageNumber=18446744073709551615", "");
    }

    #[test]
    fn switches_change_the_list() {
        let base = Behaviour::default;
        check_with(&Behaviour { list_order: ListOrder::Name, ..base() }, "platform=Windows", "6 5 2 1 0");
        check_with(&Behaviour { list_deleted: true, ..base() }, "platform=Windows", "5 6 4 2 1 0");
        check_with(&Behaviour { max_page_size: Some(2), ..base() }, "platform=Windows&pageNumber=1", "2 1");
        let from_one = Behaviour { first_page: 1, ..base() };
        check_with(&from_one, "platform=Windows&pageSize=2", "5 6");
        check_with(&from_one, "platform=Windows&pageSize=2&pageNumber=0", "5 6");
        check_with(&from_one, "platform=Windows&pageSize=2&pageNumber=1", "5 6");
        check_with(&from_one, "platform=Windows&pageSize=2&pageNumber=2", "2 1");
        let nothing = Behaviour { page_zero: PageZero::Empty, ..from_one.clone() };
        check_with(&nothing, "platform=Windows&pageSize=2&pageNumber=0", "");
        check_with(&nothing, "platform=Windows&pageSize=2&pageNumber=1", "5 6");
        let repeating = Behaviour { list_repeats: 1, ..base() };
        check_with(&repeating, "platform=Windows&pageSize=3", "5 6 2");
        check_with(&repeating, "platform=Windows&pageSize=3&pageNumber=1", "2 1 0");
        check_with(&repeating, "platform=Windows&pageSize=3&pageNumber=2", "0");
        check_with(&repeating, "platform=Windows&pageSize=3&pageNumber=3", "");
        check_with(&repeating, "platform=Windows&pageSize=1&pageNumber=1", "6");
    }

    #[test]
    fn switches_refuse_pages() {
        #[track_caller]
        fn check(behaviour: &Behaviour, page_number: usize, expected: Option<u16>) {
            let query = format!("platform=Windows&pageSize=2&pageNumber={page_number}");
            let jobs = jobs();
            let page = page(jobs.iter(), &Query::parse(&query).expect("a valid query"), behaviour);
            assert_eq!(page.err().map(|refusal| refusal.status), expected, "page {page_number}");
        }
        let from_one = Behaviour { first_page: 1, page_zero: PageZero::Refuse, ..Behaviour::default() };
        check(&from_one, 0, Some(400));
        check(&from_one, 1, None);
        let broken = Behaviour { list_breaks_at: Some(1), ..Behaviour::default() };
        check(&broken, 0, None);
        check(&broken, 1, Some(500));
        check(&broken, 7, Some(500));
    }

    #[test]
    fn rows_are_answered_in_either_shape() {
        #[track_caller]
        fn check(behaviour: &Behaviour, expected: Value) {
            let row = json!({"id": "a", "assetCount": 3, "patchCount": null, "completionPercent": 4.5, "dayOfMonth": 7});
            assert_eq!(answered(vec![row], behaviour), expected);
        }
        let plain = Behaviour::default();
        check(
            &plain,
            json!([{"id": "a", "assetCount": 3, "patchCount": null, "completionPercent": 4.5, "dayOfMonth": 7}]),
        );
        check(
            &Behaviour { list_shape: ListShape::Data, list_counters_as_text: true, ..plain.clone() },
            json!({"data": [
                {"id": "a", "assetCount": "3", "patchCount": null, "completionPercent": "4.5", "dayOfMonth": 7}
            ]}),
        );
    }

    #[test]
    fn a_query_reaches_no_further_than_the_limit() {
        let limited = |limit| Behaviour { record_limit: Some(limit), ..Behaviour::default() };
        check_with(&limited(5), "platform=Windows&pageSize=5&pageNumber=1", "");
        check_with(&limited(3), "platform=Windows&pageSize=2&pageNumber=1", "2");
        let jobs = jobs();
        let query = Query::parse("platform=Windows&pageSize=2&pageNumber=2").expect("a valid query");
        let refused = page(jobs.iter(), &query, &limited(4)).expect_err("past the limit");
        assert_eq!(refused.code, "2501");
    }

    #[test]
    fn bad_queries_are_refused() {
        for query in ["", "platform=MacOS", "platform=Linux&pageSize=0", "platform=Linux&pageNumber=-1"] {
            assert!(Query::parse(query).is_err(), "{query}");
        }
    }
}
