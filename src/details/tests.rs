use super::*;
use serde_json::json;

const HOUR: i64 = 60 * 60 * 1000;

fn job(id: &str, updated: i64) -> Value {
    json!({"id": id, "name": id, "status": "Disabled", "updatedBy": {"user": null, "date": updated}})
}

fn row(id: &str, updated: i64, completion: i64) -> ListRow {
    let row = json!({
        "id": id, "name": id, "status": "Disabled", "platform": "Linux",
        "updated": {"date": updated}, "completionPercent": completion, "nextScheduleDateTime": completion
    });
    ListRow::read(&row).expect("a row")
}

fn open(folder: &Path, cache: CacheUse, now: i64) -> Details {
    Details::open(folder, "https://gateway.example/", "customer", cache, now).expect("a temporary file")
}

/// Which of the jobs a run at `now` asks for; it keeps the answers, each of the job's date in `live`.
fn run(folder: &Path, now: i64, live: &[(&str, i64)]) -> Vec<String> {
    let rows: Vec<ListRow> = live.iter().map(|(id, updated)| row(id, *updated, now)).collect();
    let mut details = open(folder, CacheUse::Full, now);
    let asked = details.missing(live.iter().map(|(id, _)| (*id).to_owned()), &rows);
    for id in &asked {
        let (at, (_, updated)) =
            live.iter().enumerate().find(|(_, (other, _))| other == id).expect("a bound job");
        details.put(id, Some(&job(id, *updated)), Some(&rows[at])).expect("kept");
    }
    for (id, updated) in live {
        let found = details.job(id).expect("readable").expect("known");
        assert_eq!(found.raw, job(id, *updated), "what is remembered is what was answered");
    }
    details.save().expect("written");
    asked
}

#[test]
fn a_job_is_asked_for_again_only_if_its_row_changed() {
    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(run(folder.path(), 0, &[("a", 1), ("b", 1)]), ["a", "b"]);
    assert_eq!(run(folder.path(), HOUR, &[("a", 1), ("b", 1)]), [""; 0], "counters and run times moved only");
    assert_eq!(run(folder.path(), HOUR, &[("a", 1), ("b", 2)]), ["b"]);
    assert_eq!(run(folder.path(), HOUR, &[("a", 1)]), [""; 0]);
    assert_eq!(
        run(folder.path(), HOUR, &[("a", 1), ("b", 2)]),
        [""; 0],
        "a run over a selection forgets nothing"
    );
}

#[test]
fn old_entries_are_read_again_the_oldest_first_and_at_most_twenty() {
    let folder = tempfile::tempdir().expect("a folder");
    let ids: Vec<String> = (0..30).map(|n| format!("job-{n:02}")).collect();
    let live: Vec<(&str, i64)> = ids.iter().map(|id| (id.as_str(), 1)).collect();
    assert_eq!(run(folder.path(), 0, &live[15..]).len(), 15);
    assert_eq!(run(folder.path(), HOUR, &live).len(), 15);
    assert_eq!(run(folder.path(), 24 * HOUR, &live).len(), 0, "a day is not more than a day");
    let again = run(folder.path(), 27 * HOUR, &live);
    assert_eq!(again.len(), MOST_AGED_READS);
    assert!(ids[15..].iter().all(|id| again.contains(id)), "the oldest are among them: {again:?}");
    assert_eq!(run(folder.path(), 27 * HOUR, &live).len(), 10);
    assert_eq!(run(folder.path(), 27 * HOUR, &live).len(), 0);
}

#[test]
fn an_answer_that_lags_behind_its_row_does_not_stay() {
    let folder = tempfile::tempdir().expect("a folder");
    let rows = [row("a", 2, 0)];
    let mut details = open(folder.path(), CacheUse::Full, 0);
    details.missing(["a".to_owned()].into_iter(), &rows);
    details.put("a", Some(&job("a", 1)), Some(&rows[0])).expect("kept");
    details.save().expect("written");
    assert_eq!(run(folder.path(), 0, &[("a", 2)]), ["a"]);
}

#[test]
fn what_was_read_back_after_a_write_is_good_for_the_row_that_has_its_date() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut details = open(folder.path(), CacheUse::Full, 0);
    details.put_written("a", &job("a", 5)).expect("kept");
    details.save().expect("written");
    assert_eq!(run(folder.path(), 0, &[("a", 5)]), [""; 0]);
    assert_eq!(run(folder.path(), 0, &[("a", 6)]), ["a"]);
}

#[test]
fn refresh_asks_for_everything_and_without_a_cache_nothing_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    run(folder.path(), 0, &[("a", 1)]);
    let mut details = open(folder.path(), CacheUse::Refresh, 0);
    assert_eq!(details.missing(["a".to_owned()].into_iter(), &[row("a", 1, 0)]), ["a"]);
    let other = tempfile::tempdir().expect("a folder");
    let mut details = open(other.path(), CacheUse::None, 0);
    details.put("a", Some(&job("a", 1)), Some(&row("a", 1, 0))).expect("kept");
    details.save().expect("nothing to write");
    assert_eq!(std::fs::read_dir(other.path()).expect("a folder").count(), 0);
}

#[test]
fn a_damaged_or_foreign_cache_is_a_note_and_costs_calls_only() {
    let folder = tempfile::tempdir().expect("a folder");
    run(folder.path(), 0, &[("a", 1), ("b", 1)]);
    let path =
        std::fs::read_dir(folder.path()).expect("a folder").next().expect("a file").expect("a file").path();
    let good = std::fs::read(&path).expect("readable");
    for cut in [0, 1, 20, 150, good.len() / 2, good.len() - 1] {
        std::fs::write(&path, &good[..cut]).expect("writable");
        let mut details = open(folder.path(), CacheUse::Full, 0);
        let asked =
            details.missing(["a".to_owned(), "b".to_owned()].into_iter(), &[row("a", 1, 0), row("b", 1, 0)]);
        let readable = ["a", "b"].iter().filter(|id| details.job(id).is_ok_and(|job| job.is_some())).count();
        assert!(readable < 2, "cut at {cut}");
        assert!(
            details.note.is_some() || asked.is_empty(),
            "cut at {cut}: a cut in a body is seen when it is read"
        );
    }
    let foreign = String::from_utf8(good).expect("text").replacen("gateway.example", "gateway.elsewhere", 1);
    std::fs::write(&path, foreign).expect("writable");
    assert!(open(folder.path(), CacheUse::Full, 0).note.is_some());
}

fn cache_file(folder: &Path) -> PathBuf {
    std::fs::read_dir(folder).expect("a folder").next().expect("a file").expect("a file").path()
}

#[test]
fn a_damaged_body_is_forgotten_and_the_others_are_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    run(folder.path(), 0, &[("a", 1), ("b", 1), ("c", 1)]);
    let path = cache_file(folder.path());
    let text = std::fs::read_to_string(&path).expect("readable");
    let damaged = text.replacen(r#"{"id":"b","name":"b""#, r#"{"id":"b","name":"x""#, 1);
    assert_ne!(damaged, text);
    std::fs::write(&path, damaged).expect("writable");
    assert_eq!(run(folder.path(), HOUR, &[("d", 1)]), ["d"], "and the cache is written");
    assert_eq!(run(folder.path(), HOUR, &[("a", 1), ("b", 1), ("c", 1), ("d", 1)]), ["b"]);
}

#[test]
fn numbers_that_somebody_wrote_into_the_cache_are_not_trusted() {
    let folder = tempfile::tempdir().expect("a folder");
    run(folder.path(), 0, &[("a", 1)]);
    let path = cache_file(folder.path());
    let good = std::fs::read_to_string(&path).expect("readable");
    let greatest = u64::MAX.to_string();
    for (number, tampered) in [
        (r#""offset":0"#, format!(r#""offset":{greatest}"#)),
        (r#""offset":0"#, format!(r#""offset":{}"#, i64::MAX)),
    ] {
        std::fs::write(&path, good.replacen(number, &tampered, 1)).expect("writable");
        let mut details = open(folder.path(), CacheUse::Full, 0);
        assert!(!details.summary().is_whole);
        details.missing(["a".to_owned()].into_iter(), &[row("a", 1, 0)]);
        details.job("a").expect_err("a body that is nowhere");
    }
    let at = good.find(r#""bytes":"#).expect("a number") + r#""bytes":"#.len();
    let end = at + good[at..].find('}').expect("an end");
    std::fs::write(&path, format!("{}{greatest}{}", &good[..at], &good[end..])).expect("writable");
    let mut details = open(folder.path(), CacheUse::Full, 0);
    assert!(!details.summary().is_whole);
    details.missing(["a".to_owned()].into_iter(), &[row("a", 1, 0)]);
    details.job("a").expect_err("a body that is too long");
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read_the_cache() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    run(folder.path(), 0, &[("a", 1)]);
    let file = std::fs::read_dir(folder.path()).expect("a folder").next().expect("a file").expect("a file");
    assert_eq!(file.metadata().expect("metadata").permissions().mode() & 0o777, 0o600);
}
