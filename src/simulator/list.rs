//! The list of jobs: which rows a query reaches, in which order, on which page (REFERENCE section 4).

use std::cmp::Reverse;
use std::collections::HashMap;

use serde_json::Value;

use super::behaviour::{Behaviour, ListOrder};
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
    let index = query.page_number.unwrap_or(behaviour.first_page).saturating_sub(behaviour.first_page);
    let first = index.saturating_mul(page_size);
    if let Some(limit) = behaviour.record_limit {
        if first >= limit && found.len() > limit {
            return Err(Refusal::past_the_limit(limit));
        }
        found.truncate(limit);
    }
    Ok(found.into_iter().skip(first).take(page_size).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
