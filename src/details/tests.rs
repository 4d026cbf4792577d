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
    Details::open(folder, "https://gateway.example/", "customer", cache, now)
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
    let path = cache_file(folder.path());
    let good = std::fs::read(&path).expect("readable");
    for cut in [0, 1, 20, 150, good.len() / 2, good.len() - 1] {
        std::fs::write(&path, &good[..cut]).expect("writable");
        let mut details = open(folder.path(), CacheUse::Full, 0);
        let asked =
            details.missing(["a".to_owned(), "b".to_owned()].into_iter(), &[row("a", 1, 0), row("b", 1, 0)]);
        let readable = ["a", "b"].iter().filter(|id| details.job(id).is_ok_and(|job| job.is_some())).count();
        assert!(readable < 2, "cut at {cut}");
        assert!(details.note.is_some(), "cut at {cut}");
        assert_eq!(asked.len() + readable, 2, "cut at {cut}: what is lost is asked for");
    }
    let foreign = String::from_utf8(good).expect("text").replacen("gateway.example", "gateway.elsewhere", 1);
    std::fs::write(&path, foreign).expect("writable");
    assert!(open(folder.path(), CacheUse::Full, 0).note.is_some());
}

fn cache_file(folder: &Path) -> PathBuf {
    let files = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("a file").path());
    files.into_iter().find(|path| path.extension().is_some_and(|ending| ending == "cache")).expect("a cache")
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
fn lines_that_somebody_changed_are_not_trusted() {
    let folder = tempfile::tempdir().expect("a folder");
    run(folder.path(), 0, &[("a", 1)]);
    let path = cache_file(folder.path());
    let good = std::fs::read_to_string(&path).expect("readable");
    for (was, is) in [
        (r#""offset":0"#, format!(r#""offset":{}"#, u64::MAX)),
        (r#""after":"nothing""#, r#""after":"creation""#.to_owned()),
        (r#""status":"Disabled""#, r#""status":"Enabled""#.to_owned()),
        (r#""entries":1"#, r#""entries":0"#.to_owned()),
    ] {
        let tampered = good.replacen(was, &is, 1);
        assert_ne!(tampered, good, "{was}");
        std::fs::write(&path, tampered).expect("writable");
        let mut details = open(folder.path(), CacheUse::Full, 0);
        assert!(details.note.is_some(), "{was}");
        assert_eq!(details.missing(["a".to_owned()].into_iter(), &[row("a", 1, 0)]), ["a"]);
    }
}

#[test]
fn two_runs_at_once_keep_what_both_read() {
    let folder = tempfile::tempdir().expect("a folder");
    run(folder.path(), 0, &[("old", 1)]);
    let mut one = open(folder.path(), CacheUse::Full, 1);
    let mut two = open(folder.path(), CacheUse::Full, 1);
    for (details, id) in [(&mut one, "a"), (&mut two, "b")] {
        assert_eq!(details.missing([id.to_owned()].into_iter(), &[row(id, 1, 0)]), [id]);
        details.put(id, Some(&job(id, 1)), Some(&row(id, 1, 0))).expect("writable");
    }
    // Both write at their end, and one of them twice, as `apply` does.
    for details in [&mut one, &mut two] {
        details.save().expect("writable");
    }
    one.put("c", Some(&job("c", 1)), Some(&row("c", 1, 0))).expect("writable");
    one.save().expect("writable");
    assert_eq!(run(folder.path(), 2, &[("a", 1), ("b", 1), ("c", 1), ("old", 1)]), [""; 0]);
}

#[test]
fn nothing_is_kept_in_a_temporary_file_where_nothing_is_read() {
    let mut spill = Spill::default();
    spill.at(0).expect_err("nothing is there");
    assert_eq!(spill.push(b"abc").expect("writable"), 0);
    assert_eq!(spill.push(b"de").expect("writable"), 3);
    let mut text = String::new();
    spill.at(1).expect("readable").read_to_string(&mut text).expect("readable");
    assert_eq!(text, "bcde");
    assert_eq!(spill.push(b"f").expect("writable"), 5);
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read_the_cache() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    run(folder.path(), 0, &[("a", 1)]);
    let metadata = std::fs::metadata(cache_file(folder.path()));
    assert_eq!(metadata.expect("metadata").permissions().mode() & 0o777, 0o600);
}
