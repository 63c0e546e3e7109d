//! Every file of the corpus through its target, with each run of the tests: what once broke stays mended.

use std::{fs, path::Path};

use mcproxy_fuzz::TARGETS;

#[test]
fn no_file_of_the_corpus_breaks_a_promise() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (name, target) in TARGETS {
        let folder = corpus.join(name);
        let files: Vec<_> =
            fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}")).flatten().collect();
        assert!(files.len() >= 5, "a target without a corpus: {name}");
        for file in files {
            target(&fs::read(file.path()).expect("a file of the corpus"));
        }
    }
}

#[test]
fn every_folder_of_the_corpus_has_a_target() {
    for folder in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")).expect("the corpus").flatten() {
        let name = folder.file_name();
        let name = name.to_str().expect("a name of text");
        assert!(mcproxy_fuzz::target(name).is_some(), "no target reads {name}");
    }
}
