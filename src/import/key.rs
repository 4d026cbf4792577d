//! Names of jobs to keys of manifests: readable, unique, the same in every run.

use std::collections::{BTreeMap, BTreeSet};

use crate::job::Platform;

/// Longest key that is made, in characters. Longer ones are cut at a dash where one is near.
///
/// The key is the name of the file and a part of the stamp in the job's description, whose length is limited.
const MOST_CHARACTERS: usize = 60;

/// Names that files cannot have on Windows, whatever their ending.
const NO_FILE_NAMES: [&str; 22] = [
    "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9",
    "lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
];

/// What a key is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naming {
    /// The job's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its platform.
    pub platform: Option<Platform>,
    /// The key that our own stamp on the job names, where there is one.
    pub stamped: Option<String>,
}

/// Gives each job a key that no other one has, none of `taken` either, in the order of the jobs.
///
/// A job that we stamped under a key gets that key back. Otherwise the name makes it; jobs whose names make the same
/// key are told apart by platform, and where that is not enough by the first digits of their ids. So a key does not
/// depend on the order in which the jobs are listed.
pub fn keys(jobs: &[Naming], taken: &BTreeSet<String>) -> Vec<String> {
    let mut used = taken.clone();
    used.extend(NO_FILE_NAMES.map(str::to_owned));
    let mut keys: Vec<Option<String>> = vec![None; jobs.len()];
    for attempt in [stamped, from_name, with_platform, with_id_digits, with_id] {
        let candidates: Vec<Option<String>> = jobs
            .iter()
            .zip(&keys)
            .map(|(job, key)| if key.is_none() { attempt(job) } else { None })
            .collect();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for candidate in candidates.iter().flatten() {
            *counts.entry(candidate).or_default() += 1;
        }
        let mut won = Vec::new();
        for (at, candidate) in candidates.iter().enumerate() {
            if let Some(candidate) = candidate
                && counts.get(candidate.as_str()) == Some(&1)
                && !used.contains(candidate)
            {
                keys[at] = Some(candidate.clone());
                won.push(candidate.clone());
            }
        }
        used.extend(won);
    }
    // Only two jobs with one id, or a manifest that took a whole id for its key, come so far.
    let mut settle = |job: &Naming| {
        let base = with_id(job).unwrap_or_default();
        let key = (2..).map(|n| format!("{base}-{n}")).find(|key| !used.contains(key)).unwrap_or(base);
        used.insert(key.clone());
        key
    };
    jobs.iter().zip(keys).map(|(job, key)| key.unwrap_or_else(|| settle(job))).collect()
}

fn stamped(job: &Naming) -> Option<String> {
    let good = |key: &&String| {
        key.len() <= 2 * MOST_CHARACTERS
            && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    job.stamped.as_ref().filter(good).cloned()
}

fn from_name(job: &Naming) -> Option<String> {
    let key = tidy(&job.name);
    // One letter or digit says too little to be found again.
    (key.len() > 1).then_some(key)
}

fn with_platform(job: &Naming) -> Option<String> {
    Some(format!("{}-{}", from_name(job)?, job.platform?.as_str().to_ascii_lowercase()))
}

fn with_id_digits(job: &Naming) -> Option<String> {
    let digits: String = job.id.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
    Some(format!("{}-{}", stem(job), digits.to_ascii_lowercase()))
}

fn with_id(job: &Naming) -> Option<String> {
    Some(format!("{}-{}", stem(job), tidy(&job.id)))
}

/// What the key of a job begins with whose name alone does not do.
fn stem(job: &Naming) -> String {
    let platform = job.platform.map_or("job", Platform::as_str).to_ascii_lowercase();
    from_name(job).unwrap_or(platform)
}

/// A name as a part of a file's name; empty where it has no letter that could be written so.
pub(super) fn word(name: &str) -> String {
    tidy(name)
}

/// A name in small letters, digits and dashes; empty where it has no letter that could be written so.
fn tidy(name: &str) -> String {
    let mut key = String::new();
    for c in name.chars().flat_map(char::to_lowercase) {
        match fold(c) {
            Folded::Letters(letters) => key.push_str(letters),
            Folded::Letter(letter) => key.push(letter),
            Folded::Nothing => {}
            Folded::Gap if key.is_empty() || key.ends_with('-') => {}
            Folded::Gap => key.push('-'),
        }
    }
    if key.len() > MOST_CHARACTERS {
        key.truncate(MOST_CHARACTERS);
        if let Some(dash) = key.rfind('-').filter(|dash| *dash > MOST_CHARACTERS / 2) {
            key.truncate(dash);
        }
    }
    key.trim_end_matches('-').to_owned()
}

/// What a character becomes in a key.
enum Folded {
    Letter(char),
    Letters(&'static str),
    /// It leaves no trace: marks on letters, apostrophes.
    Nothing,
    /// It parts words.
    Gap,
}

/// Letters of the Latin alphabets without their marks; others have no spelling that everybody would agree on.
fn fold(c: char) -> Folded {
    match c {
        'a'..='z' | '0'..='9' => Folded::Letter(c),
        // Full-width forms, which Japanese and Chinese keyboards write.
        '\u{ff10}'..='\u{ff19}' | '\u{ff41}'..='\u{ff5a}' => {
            char::from_u32(u32::from(c) - 0xfee0).map_or(Folded::Gap, Folded::Letter)
        }
        'ä' | 'æ' => Folded::Letters("ae"),
        'ö' | 'œ' => Folded::Letters("oe"),
        'ü' => Folded::Letters("ue"),
        'ß' => Folded::Letters("ss"),
        'þ' => Folded::Letters("th"),
        'à' | 'á' | 'â' | 'ã' | 'å' | 'ā' | 'ă' | 'ą' => Folded::Letter('a'),
        'ç' | 'ć' | 'ĉ' | 'ċ' | 'č' => Folded::Letter('c'),
        'ď' | 'đ' | 'ð' => Folded::Letter('d'),
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' => Folded::Letter('e'),
        'ĝ' | 'ğ' | 'ġ' | 'ģ' => Folded::Letter('g'),
        'ĥ' | 'ħ' => Folded::Letter('h'),
        'ì' | 'í' | 'î' | 'ï' | 'ĩ' | 'ī' | 'ĭ' | 'į' | 'ı' => Folded::Letter('i'),
        'ĵ' => Folded::Letter('j'),
        'ķ' => Folded::Letter('k'),
        'ĺ' | 'ļ' | 'ľ' | 'ł' => Folded::Letter('l'),
        'ñ' | 'ń' | 'ņ' | 'ň' => Folded::Letter('n'),
        'ò' | 'ó' | 'ô' | 'õ' | 'ø' | 'ō' | 'ŏ' | 'ő' => Folded::Letter('o'),
        'ŕ' | 'ŗ' | 'ř' => Folded::Letter('r'),
        'ś' | 'ŝ' | 'ş' | 'š' | 'ș' => Folded::Letter('s'),
        'ţ' | 'ť' | 'ț' => Folded::Letter('t'),
        'ù' | 'ú' | 'û' | 'ũ' | 'ū' | 'ŭ' | 'ů' | 'ű' | 'ų' => Folded::Letter('u'),
        'ŵ' => Folded::Letter('w'),
        'ý' | 'ÿ' | 'ŷ' => Folded::Letter('y'),
        'ź' | 'ż' | 'ž' => Folded::Letter('z'),
        '\'' | '’' | '\u{0300}'..='\u{036f}' => Folded::Nothing,
        _ => Folded::Gap,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naming(n: u8, name: &str, platform: Platform) -> Naming {
        let id = format!("{n:08x}-0000-4000-8000-000000000000");
        Naming { id, name: name.to_owned(), platform: Some(platform), stamped: None }
    }

    #[track_caller]
    fn check(jobs: &[Naming], taken: &[&str], expected: &[&str]) {
        let taken = taken.iter().map(|key| (*key).to_owned()).collect();
        assert_eq!(keys(jobs, &taken), expected);
        let reversed: Vec<Naming> = jobs.iter().rev().cloned().collect();
        let mut found = keys(&reversed, &taken);
        found.reverse();
        assert_eq!(found, expected, "in another order");
    }

    #[track_caller]
    fn one(name: &str, expected: &str) {
        check(&[naming(7, name, Platform::Windows)], &[], &[expected]);
    }

    #[test]
    fn names_of_every_kind_make_keys() {
        one("Windows servers, weekly", "windows-servers-weekly");
        one("  Web: tier \"A\" / #1 ", "web-tier-a-1");
        one("Arbeitsplätze Größe", "arbeitsplaetze-groesse");
        one("Cafe\u{301} d’Åland — ŁÓDŹ", "cafe-daland-lodz");
        one("İstanbul ＡＢＣ１", "istanbul-abc1");
        one("月次パッチ patch", "patch");
        one("", "windows-00000007");
        one("😀", "windows-00000007");
        one("Сервера", "windows-00000007");
        one("-", "windows-00000007");
        one("7", "windows-00000007");
        one("con", "con-windows");
        one(&"word ".repeat(30), "word-word-word-word-word-word-word-word-word-word-word-word");
        one(&"x".repeat(200), &"x".repeat(60));
    }

    #[test]
    fn no_two_jobs_get_one_key() {
        let (windows, linux) = (Platform::Windows, Platform::Linux);
        check(
            &[naming(1, "Servers", windows), naming(2, "servers!", linux), naming(3, "Other", linux)],
            &[],
            &["servers-windows", "servers-linux", "other"],
        );
        check(
            &[naming(1, "Servers", windows), naming(2, "servers!", windows), naming(3, "Servers", linux)],
            &[],
            &["servers-00000001", "servers-00000002", "servers-linux"],
        );
        check(&[naming(1, "Servers", windows)], &["servers"], &["servers-windows"]);
        check(&[naming(1, "Servers", windows)], &["servers", "servers-windows"], &["servers-00000001"]);
        // One job's name is what another one would get.
        check(
            &[naming(1, "Servers", windows), naming(2, "Servers", linux), naming(3, "Servers Linux", linux)],
            &[],
            &["servers-windows", "servers-00000002", "servers-linux"],
        );
        let twin = naming(1, "Servers", windows);
        let found = keys(&[twin.clone(), twin.clone(), twin], &BTreeSet::new());
        assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), 3, "{found:?}");
    }

    #[test]
    fn a_job_that_we_stamped_gets_its_key_back() {
        let stamped =
            |n, key: &str| Naming { stamped: Some(key.to_owned()), ..naming(n, "Servers", Platform::Linux) };
        check(&[stamped(1, "of-old")], &[], &["of-old"]);
        check(&[stamped(1, "of-old")], &["of-old"], &["servers"]);
        check(&[stamped(1, "of-old"), stamped(2, "of-old")], &[], &["servers-00000001", "servers-00000002"]);
        check(&[stamped(1, "Of Old")], &[], &["servers"]);
    }
}
