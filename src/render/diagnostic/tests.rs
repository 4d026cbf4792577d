use insta::assert_snapshot;
use proptest::prelude::*;

use super::*;

const PLAIN: RenderOptions = RenderOptions { colour: false, width: 100 };

/// What the reader of this YAML text is told about it.
fn yaml(text: &str) -> String {
    let mut list = crate::yaml::parse(&SourceFile::new("jobs.d/web.yaml", text)).1;
    list.sort();
    diagnostics(&list, &PLAIN)
}

fn place(file: &Arc<SourceFile>, text: &str) -> Place {
    let start = file.text.find(text).expect("the text is in the file");
    Place::new(file, Span::new(start, start + text.len()))
}

fn sample() -> Diagnostic {
    let file =
        SourceFile::new("jobs.d/web.yaml", "spec:\n  name: ä\n  recurringWeekDays: Tue\n  timeout: 5\n");
    let other = SourceFile::new("jobs.d/db.yaml", "spec:\n  recurringWeekDays: [Tue]\n");
    Diagnostic::error("manifest-type", "spec.recurringWeekDays must be a list, found a string \"Tue\"")
        .at(place(&file, "Tue"), "expected a list")
        .related(place(&other, "[Tue]"), "written as a list here")
        .help("days are Sun, Mon, Tue, Wed, Thu, Fri and Sat")
        .fix(place(&file, "Tue"), "[Tue]", "write it as a list")
}

#[test]
fn a_finding_with_all_its_parts() {
    assert_snapshot!(diagnostic(&sample(), &PLAIN), @r##"
    error[manifest-type]: spec.recurringWeekDays must be a list, found a string "Tue"
     --> jobs.d/web.yaml:3:22
      |
    3 |   recurringWeekDays: Tue
      |                      ^^^ expected a list
      |
     ::: jobs.d/db.yaml:2:22
      |
    2 |   recurringWeekDays: [Tue]
      |                      ----- written as a list here
      |
      = help: days are Sun, Mon, Tue, Wed, Thu, Fri and Sat
    help: write it as a list
      |
    3 -   recurringWeekDays: Tue
    3 +   recurringWeekDays: [Tue]
      |
    "##);
}

#[test]
fn findings_of_a_file_and_their_count() {
    assert_snapshot!(yaml("a: 1\nb:\n  c: &x 1\n  c: 2\n  <<: {q: *nope, q: 1}\n"), @r##"
    error[yaml-duplicate-key]: the key `c` is written twice in one mapping
     --> jobs.d/web.yaml:4:3
      |
    3 |   c: &x 1
      |   - first written here
    4 |   c: 2
      |   ^ written again here
      |
      = help: remove one of the two

    error[yaml-merge-key]: merge keys (`<<`) are not supported
     --> jobs.d/web.yaml:5:3
      |
    5 |   <<: {q: *nope, q: 1}
      |   ^^ a merge key
      |
      = help: write the members out where they are needed

    error[yaml-alias]: the alias `*nope` has no anchor before it
     --> jobs.d/web.yaml:5:11
      |
    5 |   <<: {q: *nope, q: 1}
      |           ^^^^^ not known
      |
      = help: put `&nope` before the value it should repeat, further up in the same document
      = help: put quotes around a text that starts with `*`

    error[yaml-duplicate-key]: the key `q` is written twice in one mapping
     --> jobs.d/web.yaml:5:18
      |
    5 |   <<: {q: *nope, q: 1}
      |        -         ^ written again here
      |        |
      |        first written here
      |
      = help: remove one of the two

    error: 4 errors in 1 file
    "##);
}

#[test]
fn tabs_and_windows_line_ends() {
    assert_snapshot!(yaml("a:\r\n\tb: 1\r\n"), @r##"
    error[yaml-syntax]: a tab is used as indentation
     --> jobs.d/web.yaml:2:1
      |
    2 |     b: 1
      | ^ a tab
      |
      = help: YAML is indented with spaces only: replace the tab by spaces

    error: 1 error in 1 file
    "##);
}

#[test]
fn a_value_of_many_lines_is_marked_on_the_first() {
    let file = SourceFile::new("a.yaml", "a:\n  b: |\n    x\n    y\n  c: 1\nd: 2\n");
    let finding = Diagnostic::warning("w", "too long").at(place(&file, "b: |\n    x\n    y\n  c: 1"), "this");
    assert_snapshot!(diagnostic(&finding, &PLAIN), @r##"
    warning[w]: too long
     --> a.yaml:2:3
      |
    2 |   b: |
      |   ^^^^ this
    "##);
}

#[test]
fn a_change_over_lines_and_an_empty_place() {
    let file = SourceFile::new("a.yaml", "a:\nb: [1,\n  2]\nc: 3\n");
    let finding = Diagnostic::error("e", "a is missing")
        .at(Place::new(&file, Span::new(2, 2)), "a value is expected here")
        .fix(place(&file, "[1,\n  2]"), "[1, 2]", "write it on one line");
    assert_snapshot!(diagnostic(&finding, &PLAIN), @r##"
    error[e]: a is missing
     --> a.yaml:1:3
      |
    1 | a:
      |   ^ a value is expected here
      |
    help: write it on one line
      |
    2 - b: [1,
    3 -   2]
    2 + b: [1, 2]
      |
    "##);
}

#[test]
fn without_a_place_there_is_only_header_and_help() {
    let finding =
        Diagnostic::error("load-folder", "the folder `jobs.d` does not exist").help("pass --jobs DIR");
    assert_snapshot!(diagnostic(&finding, &PLAIN), @r##"
    error[load-folder]: the folder `jobs.d` does not exist
     = help: pass --jobs DIR
    "##);
    let mut list = Diagnostics::new();
    assert_eq!(diagnostics(&list, &PLAIN), "");
    list.push(finding);
    assert!(diagnostics(&list, &PLAIN).ends_with("\n\nerror: 1 error\n"));
}

#[test]
fn the_last_line_counts() {
    let file = |path: &str| Place::new(&SourceFile::new(path, "x"), Span::new(0, 1));
    let mut list = Diagnostics::new();
    list.push(Diagnostic::warning("w", "w").at(file("a.yaml"), ""));
    assert!(diagnostics(&list, &PLAIN).ends_with("\n\nwarning: 1 warning in 1 file\n"));
    list.push(Diagnostic::error("e", "e").at(file("b.yaml"), ""));
    list.push(Diagnostic::error("e", "e").at(file("b.yaml"), ""));
    list.push(Diagnostic::error("e", "e"));
    assert!(diagnostics(&list, &PLAIN).ends_with("\n\nerror: 3 errors and 1 warning in 2 files\n"));
}

#[test]
fn long_lines_are_cut_around_the_mark() {
    let file =
        SourceFile::new("a.yaml", format!("a: [{} here, {}]\n", "x, ".repeat(3000), "y, ".repeat(3000)));
    let finding = Diagnostic::error("e", "found").at(place(&file, "here"), "this");
    assert_snapshot!(diagnostic(&finding, &PLAIN), @r##"
    error[e]: found
     --> a.yaml:1:9006
      |
    1 | ...x, x, x, x, x, x, x, x, x, x, x, x, x,  here, y, y, y, y, y, y, y, y, y, y, y, y, y, y, y,...
      |                                            ^^^^ this
    "##);
    let narrow = diagnostic(&finding, &RenderOptions { colour: false, width: 1 });
    assert!(narrow.lines().all(|line| line.len() < 60), "{narrow}");
    let file = SourceFile::new("a.yaml", format!("a: {} here\n", "x".repeat(1 << 20)));
    let finding = Diagnostic::error("e", "found").at(place(&file, "here"), "this").help("help");
    assert_snapshot!(diagnostic(&finding, &PLAIN), @r##"
    error[e]: found
    --> a.yaml:1:1048581
     = note: this
     = help: help
    "##);
}

#[test]
fn places_far_apart_are_shown_apart() {
    let file = SourceFile::new("a.yaml", format!("first: 1\n{}first: 2\n", "x: 1\n".repeat(1000)));
    let end = file.text.len() - 9;
    let finding = Diagnostic::error("e", "twice")
        .at(Place::new(&file, Span::new(end, end + 5)), "again")
        .related(place(&file, "first"), "first");
    assert_snapshot!(diagnostic(&finding, &PLAIN), @r##"
    error[e]: twice
        --> a.yaml:1002:1
         |
    1002 | first: 2
         | ^^^^^ again
         |
        ::: a.yaml:1:1
         |
       1 | first: 1
         | ----- first
    "##);
}

#[test]
fn foreign_text_cannot_reach_the_terminal() {
    let file = SourceFile::new("a\u{1b}[2J.yaml", "a: \u{1b}]0;title\u{7} \u{202E}b\n");
    let finding = Diagnostic::error("e", "m\u{1b}[31m\nm\u{202E}")
        .at(place(&file, "\u{7}"), "l\u{9b}")
        .help("h\u{8}\r")
        .fix(place(&file, "b"), "\u{1b}[1m", "f\u{1b}");
    assert_snapshot!(diagnostic(&finding, &PLAIN), @r##"
    error[e]: m\u{1b}[31m\nm\u{202e}
     --> a\u{1b}[2J.yaml:1:13
      |
    1 | a: ␛]0;title␇ �b
      |             ^ l\u{9b}
      |
      = help: h\u{8}\r
    help: f\u{1b}
      |
    1 - a: ␛]0;title␇ �b
    1 + a: ␛]0;title␇ �␛[1m
      |
    "##);
}

#[test]
fn colour_is_used_when_asked_for() {
    let coloured = diagnostic(&sample(), &RenderOptions { colour: true, ..PLAIN });
    assert!(coloured.contains("\u{1b}["));
    let mut stripped = String::new();
    let mut pieces = coloured.split("\u{1b}[");
    stripped.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        stripped.push_str(piece.split_once('m').map_or("", |(_, rest)| rest));
    }
    // The styled renderer marks added text in the line by colour; the words are the same.
    assert!(
        stripped.starts_with("error[manifest-type]: spec.recurringWeekDays must be a list"),
        "{stripped}"
    );
    assert!(!diagnostic(&sample(), &PLAIN).contains('\u{1b}'));
}

#[test]
fn json_has_everything() {
    let mut list = Diagnostics::new();
    list.push(sample());
    list.push(Diagnostic::warning("w", "no place"));
    insta::assert_json_snapshot!(diagnostics_json(&list), @r##"
    [
      {
        "severity": "error",
        "code": "manifest-type",
        "message": "spec.recurringWeekDays must be a list, found a string \"Tue\"",
        "source": {
          "file": "jobs.d/web.yaml",
          "line": 3,
          "column": 22
        },
        "label": "expected a list",
        "help": [
          "days are Sun, Mon, Tue, Wed, Thu, Fri and Sat"
        ],
        "related": [
          {
            "source": {
              "file": "jobs.d/db.yaml",
              "line": 2,
              "column": 22
            },
            "label": "written as a list here"
          }
        ],
        "fix": {
          "message": "write it as a list",
          "replacement": "[Tue]",
          "source": {
            "file": "jobs.d/web.yaml",
            "line": 3,
            "column": 22,
            "end_line": 3,
            "end_column": 25
          }
        }
      },
      {
        "severity": "warning",
        "code": "w",
        "message": "no place",
        "source": null,
        "label": null,
        "help": [],
        "related": [],
        "fix": null
      }
    ]
    "##);
}

proptest! {
    #[test]
    fn any_text_and_any_place_is_rendered_safely(
        text in "(\\PC|[\u{0}-\u{1f}\u{7f}-\u{9f}\u{202e}\r\n\t ]){0,60}",
        spans in prop::collection::vec((0..80_usize, 0..80_usize), 3),
        width in 0..200_usize,
    ) {
        let file = SourceFile::new("a.yaml", text.as_str());
        let at = |index: usize| Place::new(&file, Span::new(spans[index].0, spans[index].1));
        let finding = Diagnostic::error("e", text.as_str())
            .at(at(0), text.as_str())
            .related(at(1), text.as_str())
            .help(text.as_str())
            .fix(at(2), text.as_str(), text.as_str());
        let shown = diagnostic(&finding, &RenderOptions { colour: false, width });
        prop_assert!(shown.chars().all(|character| character == '\n' || !character.is_control()), "{shown:?}");
        let mut list = Diagnostics::new();
        list.push(finding);
        let _ = diagnostics_json(&list);
    }
}
