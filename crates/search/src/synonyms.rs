//! Words that mean about the same in what people ask for and in what tools are called.

use std::collections::HashMap;

use crate::words::{Stemmers, stem};

/// How much a word of like meaning counts, the word itself being 1.
pub(crate) const LIKENESS: f32 = 0.4;

/// Each line: words of like meaning. General English, none of them about a certain server.
const GROUPS: &str = "\
delete remove erase drop discard clear
create make new define build generate
add insert append
update edit modify change alter
list listing enumerate
show display view print
read retrieve fetch download load open
find search lookup locate query discover
directory folder dir
file document
execute run invoke
move rename relocate
send post submit
link relation relationship connect connection edge
node entity
note observation memory
save persist store record write
compare diff difference differ
database sql sqlite
table schema
picture image photo
movie film video
url link web webpage website page
repository repo
undo revert reset
info information detail metadata
count number
convert translate transform
directions route navigate
mail email message
meeting appointment event calendar
ticket issue bug
buy purchase order
price cost
stop cancel abort kill terminate
start begin launch
person user people contact
company organization business
";

/// Which stems stand for which others.
pub(crate) struct Synonyms(HashMap<String, Vec<String>>);

impl Synonyms {
    pub(crate) fn new(stemmers: &Stemmers) -> Self {
        let mut of: HashMap<String, Vec<String>> = HashMap::new();
        for group in GROUPS.lines() {
            let stems: Vec<_> = group.split(' ').map(|word| stem(stemmers, word).into_owned()).collect();
            for one in &stems {
                let others = of.entry(one.clone()).or_default();
                others.extend(stems.iter().filter(|other| *other != one).cloned());
                others.sort_unstable();
                others.dedup();
            }
        }
        Self(of)
    }

    /// The stems of like meaning; the stem itself is not one of them.
    pub(crate) fn of(&self, stem: &str) -> &[String] {
        self.0.get(stem).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_hold_both_ways() {
        let stemmers = Stemmers::new();
        let synonyms = Synonyms::new(&stemmers);
        let stem = |word| stem(&stemmers, word).into_owned();
        assert!(synonyms.of(&stem("folders")).contains(&stem("directories")));
        assert!(synonyms.of(&stem("directory")).contains(&stem("folder")));
        assert!(
            synonyms.of(&stem("link")).contains(&stem("url")) && synonyms.of(&stem("link")).contains(&stem("edge"))
        );
        assert!(!synonyms.of(&stem("url")).contains(&stem("edge")), "they are not handed on");
        assert!(synonyms.of("unheard").is_empty());
    }
}
