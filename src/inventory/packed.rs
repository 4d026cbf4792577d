//! Manifests in little room, between the time when stock is taken and the time when their live job is there.
//!
//! A tree of ten thousand manifests takes hundreds of megabytes, and to read their YAML a second time takes longer
//! than everything else that is done with them. As JSON the members take no more than the file did.

use std::sync::Arc;

use crate::lean::Lean;
use crate::manifest::Manifest;
use crate::source::SourceFile;

/// Room that is made for the members at first, so that it need not grow five times.
const USUAL_BYTES: usize = 4 << 10;

/// A manifest without its places: enough to find out whether there is anything to be said of it.
#[derive(Clone, Debug)]
pub struct Packed {
    /// All but the members.
    rest: Manifest,
    spec: Box<[u8]>,
}

impl Packed {
    /// Packs a manifest; `nowhere` is the text that its places will point into.
    pub(super) fn new(manifest: Manifest, nowhere: &Arc<SourceFile>) -> Self {
        let mut rest = manifest.without_places(nowhere);
        let mut spec = Vec::with_capacity(USUAL_BYTES);
        serde_json::to_writer(&mut spec, &std::mem::take(&mut rest.spec))
            .expect("internal error: JSON values can be written as JSON");
        Self { rest, spec: spec.into_boxed_slice() }
    }

    /// The declared members, as they are packed.
    pub fn declared(&self) -> Lean<'_> {
        Lean::parse(&self.spec).expect("internal error: what was packed is JSON")
    }

    /// The manifest as it was, but for its places.
    pub fn unpack(&self) -> Manifest {
        let mut manifest = self.rest.clone();
        manifest.spec = serde_json::from_slice(&self.spec).expect("internal error: what was packed is JSON");
        manifest
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::manifest::{self, Context, ReadScript, ScriptProblem};

    struct NoScripts;

    impl ReadScript for NoScripts {
        fn read_script(&self, _: &str, _: &str) -> Result<Vec<u8>, ScriptProblem> {
            Ok(Vec::new())
        }
    }

    #[test]
    fn a_manifest_comes_back_as_it_was() {
        let text = format!(
            "apiVersion: {}\nkind: {}\nmetadata:\n  key: a\nspec:\n  name: Ä \"1\"\n  platform: Linux\n  \
             description: null\n  future: {{b: [0.1, 1.7976931348623157e308, -0.0, 5e-324], a: [1, -9223372036854775808]}}\n",
            manifest::API_VERSION,
            manifest::KIND
        );
        let tags = BTreeMap::new();
        let context = Context { tags: &tags, allow_unknown_fields: true, scripts: &NoScripts };
        let mut parsed = manifest::parse(&SourceFile::new("a.yaml", text), context);
        let manifest = parsed.manifests.pop().expect("a manifest");
        let unpacked = Packed::new(manifest.clone(), &SourceFile::new("a.yaml", "")).unpack();
        // As text, which tells also the zero below zero and the order.
        let [there, back] = [manifest.spec, unpacked.spec].map(|spec| serde_json::json!(spec).to_string());
        assert_eq!(back, there);
        assert_eq!((unpacked.key, unpacked.id), (manifest.key, manifest.id));
    }
}
