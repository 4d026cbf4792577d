//! How a paged list is read to its end: a state machine that asks for pages and is given answers. Pure.
//!
//! The server is hardly documented here (REFERENCE section 4), so nothing is taken for granted: pages are asked for
//! from 0 until one is **empty** (a short page proves nothing where a server caps the page size), a server that counts
//! from 1 may refuse page 0, show it empty, or show page 1 for it; rows may appear twice because others were inserted
//! meanwhile; and a server that never shows an empty page ends in an error. The result is the whole list or nothing.
//!
//! A server may refuse, for its record limit, a page whose *window* goes past the limit, though the list fits. Such a
//! refusal is the end of the list where the page before was shorter than all others, which were of one length: this
//! server fills its pages, so a short one is the last. In any other case the list may go on, and that is an error.
//!
//! A refusal of page 0 alone proves nothing: it may have been about that moment. So page 0 is asked for once more after
//! page 1 was answered; only if it is refused again does the server count from 1, and otherwise the sweep starts over.
//! Where page 1 is empty and page 0 stays refused, nothing was observed, and that is an error too.

use std::collections::HashMap;

use serde_json::Value;

use super::error::{ApiError, ListFailure};
use crate::lean::Lean;

/// Pages in a row that bring nothing new before the server is taken to repeat itself. A server that counts from 1 and
/// tolerates 0 needs one; with tiny pages, jobs created meanwhile can push a whole page once more.
const MOST_REPEATS: u32 = 3;

/// Most records that the server shows of one query (REFERENCE section 3).
const RECORD_LIMIT: u32 = 10_000;

/// Smallest page that a server is assumed to cap to: its own default (REFERENCE section 4, `pageSize`).
const SMALLEST_CAP: u32 = 10;

/// Pages beyond what the record limit can fill: inserts, a last empty page, both page bases.
const SPARE_PAGES: u32 = 100;

/// `_error.errorCode` of "only the first 10,000 results can be displayed" (REFERENCE section 3).
const RECORD_LIMIT_CODE: &str = "2501";

/// What a page turned out to be.
#[derive(Debug)]
pub(super) enum Page<T> {
    /// A success with a JSON body; `None` where that is no list.
    Body(Option<Vec<Row<T>>>),
    /// A success without content (204).
    NoContent,
    /// A refusal of just this request, such as 400; not one of the login or of the rate.
    Refused {
        /// Whether it says that the list is longer than the server shows.
        is_record_limit: bool,
        /// The refusal.
        error: ApiError,
    },
}

/// One row: what the sweep must know of it, and what was made of it for the one who asked.
#[derive(Debug)]
pub(super) struct Row<T> {
    /// In small letters: UUIDs that differ in the case of their letters only are one (RFC 9562, section 4).
    id: Option<String>,
    /// Whether it is marked `deleted`, or of another known platform, which a server sends that ignores the query's
    /// `platform` (unknown parameters are ignored rather than refused, REFERENCE section 3).
    is_left_out: bool,
    pub(super) made: T,
}

/// What is known of the number of the first page.
#[derive(Debug)]
enum Base {
    /// Page 0 was not refused, or was not asked for yet.
    Zero,
    /// Page 0 was refused, with this error, which is the list's if page 1 is refused too.
    Refused(ApiError),
    /// Page 0 was refused and page 1 was answered; page 0 is asked for once more.
    Asked {
        /// Whether page 1 was empty.
        is_empty: bool,
    },
    /// Page 0 was refused twice.
    One,
}

/// How long the pages were, in rows as they came, those that are left out counted; empty pages are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lengths {
    /// No page had rows yet.
    None,
    /// All pages were of this length.
    Full(usize),
    /// All pages were of one length, and the last one was shorter.
    EndedShort,
    /// Anything else, so that a short page proves nothing.
    Uneven,
}

impl Lengths {
    /// With one more page.
    fn and(self, n_rows: usize) -> Self {
        match self {
            same if n_rows == 0 => same,
            Self::None => Self::Full(n_rows),
            Self::Full(length) if n_rows == length => self,
            Self::Full(length) if n_rows < length => Self::EndedShort,
            Self::Full(_) | Self::EndedShort | Self::Uneven => Self::Uneven,
        }
    }
}

/// The state of one sweep; see the module's description.
#[derive(Debug)]
pub(super) struct Sweep<T> {
    next_page: Option<u32>,
    pages_read: u32,
    most_pages: u32,
    repeats: u32,
    base: Base,
    lengths: Lengths,
    rows: Vec<Row<T>>,
    position_by_id: HashMap<String, usize>,
}

impl<T> Sweep<T> {
    /// Starts before page 0.
    pub(super) fn new(page_size: u32) -> Self {
        Self {
            next_page: Some(0),
            pages_read: 0,
            most_pages: RECORD_LIMIT / page_size.clamp(1, SMALLEST_CAP) + SPARE_PAGES,
            repeats: 0,
            base: Base::Zero,
            lengths: Lengths::None,
            rows: Vec::new(),
            position_by_id: HashMap::new(),
        }
    }

    /// The number of the page to ask for; `None` when the list was read to its end.
    pub(super) fn next_page(&self) -> Option<u32> {
        self.next_page
    }

    /// Pages taken so far.
    pub(super) fn pages_read(&self) -> u32 {
        self.pages_read
    }

    /// Takes the answer to the page that was asked for.
    ///
    /// # Errors
    /// [`ListFailure`]; the sweep is over then.
    pub(super) fn take(&mut self, answer: Page<T>) -> Result<(), ListFailure> {
        let page = self.next_page.expect("internal error: a page is taken only after it was asked for");
        let rows = match answer {
            Page::NoContent => Vec::new(),
            Page::Body(rows) => rows.ok_or(ListFailure::NotAList { page })?,
            Page::Refused { is_record_limit: true, .. } if self.lengths == Lengths::EndedShort => {
                self.next_page = None;
                return Ok(());
            }
            Page::Refused { is_record_limit: true, .. } => {
                return Err(ListFailure::RecordLimit { n_read: self.rows.len() });
            }
            Page::Refused { error, .. } => return self.take_refusal(page, error),
        };
        self.pages_read += 1;
        match std::mem::replace(&mut self.base, Base::Zero) {
            Base::Refused(_) => {
                self.base = Base::Asked { is_empty: rows.is_empty() };
                self.add(rows, page)?;
                self.next_page = Some(0);
                return Ok(());
            }
            Base::Asked { .. } => {
                // The refusal has passed. What page 1 showed before may have moved since.
                self.rows.clear();
                self.position_by_id.clear();
                self.lengths = Lengths::None;
            }
            base @ (Base::Zero | Base::One) => self.base = base,
        }
        if rows.is_empty() && page > 0 {
            self.next_page = None;
            return Ok(());
        }
        let n_new = self.add(rows, page)?;
        // An empty page 0 may be that of a server that counts from 1: page 1 settles it.
        if n_new > 0 || page == 0 {
            self.repeats = 0;
        } else {
            self.repeats += 1;
            if self.repeats > MOST_REPEATS {
                return Err(ListFailure::Repeats { page });
            }
        }
        if self.pages_read >= self.most_pages {
            return Err(ListFailure::TooManyPages { pages: self.pages_read });
        }
        self.next_page = Some(page + 1);
        Ok(())
    }

    /// Takes a refusal of just this page.
    fn take_refusal(&mut self, page: u32, error: ApiError) -> Result<(), ListFailure> {
        (self.base, self.next_page) = match (std::mem::replace(&mut self.base, Base::Zero), page) {
            (Base::Zero, 0) => (Base::Refused(error), Some(1)),
            (Base::Asked { is_empty: false }, 0) => (Base::One, Some(2)),
            (Base::Refused(first), _) => return Err(ListFailure::Page(Box::new(first))),
            // A page that is refused and an empty one are no evidence that there are no jobs.
            (Base::Zero | Base::Asked { .. } | Base::One, _) => {
                return Err(ListFailure::Page(Box::new(error)));
            }
        };
        Ok(())
    }

    /// Returns the live rows of the platform, each id once, in the order in which they were first seen.
    pub(super) fn finish(self) -> Vec<T> {
        self.rows.into_iter().filter(|row| !row.is_left_out).map(|row| row.made).collect()
    }

    fn add(&mut self, rows: Vec<Row<T>>, page: u32) -> Result<usize, ListFailure> {
        self.lengths = self.lengths.and(rows.len());
        let mut n_new = 0;
        for (index, row) in rows.into_iter().enumerate() {
            let Some(id) = row.id.clone() else {
                return Err(ListFailure::RowWithoutId { page, row: index + 1 });
            };
            if let Some(position) = self.position_by_id.get(&id) {
                // The later sight is the fresher one.
                self.rows[*position] = row;
            } else {
                self.position_by_id.insert(id, self.rows.len());
                self.rows.push(row);
                n_new += 1;
            }
        }
        Ok(n_new)
    }
}

/// Whether an error body says that the query has more records than the server shows.
pub(super) fn is_record_limit(error_code: Option<&str>, body: &[u8]) -> bool {
    error_code == Some(RECORD_LIMIT_CODE)
        || String::from_utf8_lossy(body).contains("Only the first 10000 results")
}

/// `_error.errorCode`, text or number (REFERENCE section 3).
pub(super) fn error_code_of(body: &Value) -> Option<String> {
    match body.get("_error")?.get("errorCode")? {
        Value::String(code) => Some(code.clone()),
        Value::Number(code) => Some(code.to_string()),
        _ => None,
    }
}

/// The rows of a page, and what `make` makes of each; `None` where the answer is no list.
pub(super) fn rows_of<T>(
    body: &Lean<'_>,
    platform: &str,
    make: impl Fn(&Lean<'_>) -> T,
) -> Option<Vec<Row<T>>> {
    let rows = match body {
        Lean::List(rows) => rows,
        body => match body.get("data") {
            Some(Lean::List(rows)) => rows,
            _ => return None,
        },
    };
    let read = |row: &Lean<'_>| {
        let id = row.get("id").and_then(Lean::as_str).filter(|id| !id.is_empty());
        let is_deleted = row.get("deleted") == Some(&Lean::Bool(true));
        Row {
            id: id.map(str::to_ascii_lowercase),
            is_left_out: is_deleted || is_of_another_platform(row, platform),
            made: make(row),
        }
    };
    Some(rows.iter().map(read).collect())
}

fn is_of_another_platform(row: &Lean<'_>, platform: &str) -> bool {
    const KNOWN: [&str; 4] = ["Windows", "Linux", "MacOS", "Mac"];
    row.get("platform").and_then(Lean::as_str).is_some_and(|found| {
        !found.eq_ignore_ascii_case(platform) && KNOWN.iter().any(|known| found.eq_ignore_ascii_case(known))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::error::CallFailure;
    use super::*;

    /// How a server numbers its pages.
    #[derive(Clone, Copy, Debug)]
    enum Numbering {
        Zero,
        OneTolerant,
        OneEmpty,
        OneRefusing,
    }

    #[derive(Clone, Copy, Debug)]
    struct Server {
        n_jobs: usize,
        cap: usize,
        base: Numbering,
        in_data: bool,
        /// A job is created at the front before each of this many pages.
        n_inserts: usize,
    }

    fn refusal() -> Page<Value> {
        let cause = CallFailure::Status {
            status: reqwest::StatusCode::BAD_REQUEST,
            error_code: None,
            excerpt: String::new(),
        };
        Page::Refused {
            is_record_limit: false,
            error: ApiError::Call { call: "GET /x".to_owned(), tries: 1, cause },
        }
    }

    fn row(id: usize) -> Value {
        json!({"id": format!("job-{id}"), "platform": "Windows", "patchCount": "0"})
    }

    fn read(server: Server, page_size: usize) -> Result<Vec<String>, ListFailure> {
        let mut jobs: Vec<usize> = (0..server.n_jobs).collect();
        let mut sweep = Sweep::new(u32::try_from(page_size).unwrap());
        let size = page_size.min(server.cap);
        let mut n_inserted = 0;
        while let Some(page) = sweep.next_page() {
            if n_inserted < server.n_inserts {
                jobs.insert(0, server.n_jobs + n_inserted);
                n_inserted += 1;
            }
            let index = match (server.base, page as usize) {
                (Numbering::Zero, page) => Some(page),
                (Numbering::OneTolerant, 0) => Some(0),
                (Numbering::OneEmpty, 0) => Some(usize::MAX),
                (Numbering::OneRefusing, 0) => None,
                (_, page) => Some(page - 1),
            };
            let Some(index) = index else {
                sweep.take(refusal())?;
                continue;
            };
            let rows: Vec<Value> =
                jobs.iter().skip(index.saturating_mul(size)).take(size).map(|id| row(*id)).collect();
            sweep.take(body(if server.in_data { json!({"data": rows}) } else { json!(rows) }))?;
        }
        Ok(sweep.finish().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect())
    }

    proptest! {
        #[test]
        fn every_kind_of_server_is_read_to_its_end(
            n_jobs in 0_usize..60,
            cap in 1_usize..20,
            page_size in 1_usize..20,
            base in prop::sample::select(vec![Numbering::Zero, Numbering::OneTolerant, Numbering::OneEmpty, Numbering::OneRefusing]),
            in_data: bool,
            n_inserts in 0_usize..3,
        ) {
            let found = read(Server { n_jobs, cap, base, in_data, n_inserts }, page_size);
            if n_jobs + n_inserts == 0 && matches!(base, Numbering::OneRefusing) {
                // Nothing was seen, and a page was refused: absence was not observed.
                prop_assert!(found.is_err());
                return Ok(());
            }
            let found = found.unwrap();
            let unique: std::collections::BTreeSet<&String> = found.iter().collect();
            prop_assert_eq!(unique.len(), found.len());
            // Jobs created meanwhile may or may not be seen; those that were there are all seen.
            for id in 0..n_jobs {
                prop_assert!(found.contains(&format!("job-{id}")), "{} of {:?}", id, found);
            }
        }
    }

    #[track_caller]
    fn check(pages: Vec<Page<Value>>, expected: Result<&[&str], &str>) {
        let mut sweep = Sweep::new(1_000);
        let outcome = pages.into_iter().try_for_each(|page| sweep.take(page));
        match (outcome, expected) {
            (Ok(()), Ok(ids)) => {
                assert_eq!(sweep.next_page(), None, "the sweep wants more");
                let found: Vec<Value> = sweep.finish().iter().map(|row| row["id"].clone()).collect();
                assert_eq!(found, ids);
            }
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (outcome, expected) => panic!("{outcome:?}, not {expected:?}"),
        }
    }

    fn body(value: Value) -> Page<Value> {
        Page::Body(rows_of(&Lean::from(&value), "Windows", |row| row.to_value()))
    }

    #[test]
    fn answers_of_all_kinds() {
        check(vec![body(json!([])), body(json!([]))], Ok(&[]));
        check(vec![Page::NoContent, Page::NoContent], Ok(&[]));
        check(vec![body(json!([{"id": "a"}])), body(json!([{"id": "b"}])), Page::NoContent], Ok(&["a", "b"]));
        check(vec![body(json!([{"id": "a", "deleted": true}, {"id": "b"}])), body(json!([]))], Ok(&["b"]));
        // A UUID is the same in capitals; the later sight stays.
        check(vec![body(json!([{"id": "aB"}])), body(json!([{"id": "Ab"}])), Page::NoContent], Ok(&["Ab"]));
        // A job that was deleted between two sights of it.
        check(
            vec![body(json!([{"id": "a"}])), body(json!([{"id": "a", "deleted": true}])), body(json!([]))],
            Ok(&[]),
        );
        check(
            vec![
                body(json!([{"id": "a", "platform": "Linux"}, {"id": "b", "platform": null}])),
                body(json!([])),
            ],
            Ok(&["b"]),
        );
        check(vec![body(json!([{"id": "a", "platform": "WINDOWS"}])), body(json!([]))], Ok(&["a"]));
        check(vec![body(json!(null))], Err("page 0 is not a list"));
        check(vec![body(json!({"jobs": []}))], Err("page 0 is not a list"));
        check(vec![body(json!([{"id": "a"}])), body(json!("x"))], Err("page 1 is not a list"));
        check(vec![body(json!([{"id": "a"}, {"name": "b"}]))], Err("row 2 of page 0"));
        check(vec![body(json!([{"id": ""}]))], Err("row 1 of page 0"));
        check(vec![body(json!([{"id": 7}]))], Err("row 1 of page 0"));
        check(vec![refusal(), refusal()], Err("a page could not be read"));
        check(vec![body(json!([{"id": "a"}])), refusal()], Err("a page could not be read"));
    }

    /// A refusal for the record limit is the end where the page before was shorter than all before it.
    #[test]
    fn the_record_limit_after_a_short_page_is_the_end() {
        let page = |ids: &[&str]| body(ids.iter().map(|id| json!({"id": id})).collect());
        let limit = || match refusal() {
            Page::Refused { error, .. } => Page::Refused { is_record_limit: true, error },
            other => other,
        };
        let too_long = Err("no more than 10,000 records");
        check(vec![page(&["a", "b"]), page(&["c"]), limit()], Ok(&["a", "b", "c"]));
        check(vec![page(&["a", "b"]), page(&["c", "d"]), limit()], too_long);
        check(vec![page(&["a", "b"]), limit()], too_long);
        check(vec![limit()], too_long);
        check(vec![page(&[]), limit()], too_long);
        // Rows count as they came, those that are marked deleted or of another platform, too.
        let deleted = body(json!([{"id": "c", "deleted": true}, {"id": "d", "platform": "Linux"}]));
        check(vec![page(&["a", "b"]), deleted, limit()], too_long);
        let deleted = body(json!([{"id": "a", "deleted": true}, {"id": "b"}]));
        check(vec![deleted, page(&["c"]), limit()], Ok(&["b", "c"]));
        // Where a short page was followed by another, or by a longer one, a short page proves nothing.
        check(vec![page(&["a", "b"]), page(&["c"]), page(&["d"]), limit()], too_long);
        check(vec![page(&["a", "b"]), page(&["c"]), page(&["d", "e"]), page(&["f"]), limit()], too_long);
        check(vec![page(&["a"]), page(&["b", "c"]), limit()], too_long);
        // Pages that count from 1: page 0 refused twice, shown empty, or as page 1.
        check(vec![refusal(), page(&["a", "b"]), refusal(), page(&["c"]), limit()], Ok(&["a", "b", "c"]));
        check(vec![page(&[]), page(&["a", "b"]), page(&["c"]), limit()], Ok(&["a", "b", "c"]));
        check(vec![page(&["a", "b"]), page(&["a", "b"]), page(&["c"]), limit()], Ok(&["a", "b", "c"]));
        // The refusal of page 0 passed, and what was read before it does not count.
        check(
            vec![refusal(), page(&["b", "c", "d"]), page(&["a", "b"]), page(&["c", "d"]), limit()],
            too_long,
        );
    }

    /// One refusal of page 0 says nothing: it may have been about that moment, not about the number.
    #[test]
    fn page_0_is_asked_for_once_more_before_it_is_left_out() {
        #[track_caller]
        fn check_pages(pages: Vec<Page<Value>>, expected_numbers: &[u32], expected: Result<&[&str], &str>) {
            let mut sweep = Sweep::new(1_000);
            let mut numbers = Vec::new();
            let mut pages_left = pages.into_iter();
            let mut outcome = Ok(());
            while let (Ok(()), Some(number)) = (&outcome, sweep.next_page()) {
                numbers.push(number);
                outcome = sweep.take(pages_left.next().expect("the sweep wants more"));
            }
            assert_eq!(numbers, expected_numbers);
            assert!(pages_left.next().is_none(), "the sweep wants less");
            match (outcome, expected) {
                (Ok(()), Ok(ids)) => {
                    let found: Vec<Value> = sweep.finish().iter().map(|row| row["id"].clone()).collect();
                    assert_eq!(found, ids);
                }
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
                (outcome, expected) => panic!("{outcome:?}, not {expected:?}"),
            }
        }
        let page = |ids: &[&str]| body(ids.iter().map(|id| json!({"id": id})).collect());
        // It counts from 1.
        check_pages(
            vec![refusal(), page(&["a"]), refusal(), page(&["b"]), page(&[])],
            &[0, 1, 0, 2, 3],
            Ok(&["a", "b"]),
        );
        let unread = Err("a page could not be read");
        check_pages(vec![refusal(), page(&[]), refusal()], &[0, 1, 0], unread);
        check_pages(vec![refusal(), Page::NoContent, refusal()], &[0, 1, 0], unread);
        // It counts from 0, and the refusal passed.
        check_pages(
            vec![refusal(), page(&["b"]), page(&["a"]), page(&["b"]), page(&[])],
            &[0, 1, 0, 1, 2],
            Ok(&["a", "b"]),
        );
        check_pages(vec![refusal(), page(&[]), page(&["a"]), page(&[])], &[0, 1, 0, 1], Ok(&["a"]));
        check_pages(
            vec![refusal(), page(&[]), page(&["a"]), refusal()],
            &[0, 1, 0, 1],
            Err("a page could not be read"),
        );
        // What only page 1 of the first attempt showed is not kept.
        check_pages(vec![refusal(), page(&["x"]), page(&["a"]), page(&[])], &[0, 1, 0, 1], Ok(&["a"]));
        check_pages(vec![refusal(), refusal()], &[0, 1], Err("a page could not be read"));
        check_pages(
            vec![refusal(), page(&["a"]), body(json!(null))],
            &[0, 1, 0],
            Err("page 0 is not a list"),
        );
    }

    #[test]
    fn a_server_that_repeats_itself_ends_in_an_error() {
        check((0..9).map(|_| body(json!([{"id": "a"}]))).collect(), Err("page after page (up to page 4)"));
    }

    #[test]
    fn a_list_without_end_ends_in_an_error() {
        let pages = (0..5_000).map(|page| body(json!([{"id": page.to_string()}]))).collect();
        check(pages, Err("no end after 1100 pages"));
    }

    #[test]
    fn the_record_limit_is_told_apart() {
        assert_eq!(error_code_of(&json!({"_error": {"errorCode": "2501"}})).as_deref(), Some("2501"));
        assert_eq!(error_code_of(&json!({"_error": {"errorCode": 2501}})).as_deref(), Some("2501"));
        assert_eq!(error_code_of(&json!({"_error": "2501"})), None);
        assert!(is_record_limit(Some("2501"), b""));
        assert!(is_record_limit(None, b"Only the first 10000 results can be displayed"));
        assert!(!is_record_limit(Some("1903"), b"no"));
    }
}
