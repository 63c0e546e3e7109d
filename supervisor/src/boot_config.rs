//! The configuration that a start begins with: what the file says, or what was in force last (`docs/decisions/0147`). Pure.

use mcproxy_config::Config;
use mcproxy_ipc::ConfigSource;

use crate::config_problems::keep_earlier;

/// What a start begins with.
#[derive(Debug)]
pub(crate) struct BootConfig {
    pub(crate) config: Config,
    /// Where it is from.
    pub(crate) source: ConfigSource,
    /// Why the file is not in force, or not all of it: one line each.
    pub(crate) problems: Vec<String>,
}

/// Decides between the file, whose mistakes are one line each, and the copy, which is read when it is needed.
///
/// # Errors
/// The file cannot be used, and there is no copy that can: the mistakes of the file.
pub(crate) fn choose(
    file: Result<Config, Vec<String>>,
    copy: impl FnOnce() -> Option<Config>,
) -> Result<BootConfig, Vec<String>> {
    match file {
        Err(problems) => match copy() {
            Some(config) => Ok(BootConfig { config, source: ConfigSource::LastGood, problems }),
            None => Err(problems),
        },
        Ok(mut config) => {
            let mistaken = |config: &Config| config.mistaken().count();
            let before = mistaken(&config);
            let mut problems = Vec::new();
            if before > 0
                && let Some(copy) = copy()
            {
                problems = keep_earlier(&mut config, &copy);
                if mistaken(&config) == before {
                    // All of the file is in force, as far as it can be.
                    problems.clear();
                }
            }
            Ok(BootConfig { config, source: ConfigSource::File, problems })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"mcpServers": {"a": {"command": "x"}, "b": {"command": "x"}}}"#;

    fn parse(text: &str) -> Result<Config, Vec<String>> {
        Config::parse(text, &|_| None).map_err(|problems| problems.lines())
    }

    fn chosen(file: &str, copy: Option<&str>) -> Result<BootConfig, Vec<String>> {
        choose(parse(file), || parse(copy?).ok())
    }

    #[test]
    fn a_good_file_is_in_force_whatever_was_before() {
        let boot = choose(parse(GOOD), || unreachable!("it is not needed")).expect("in force");
        assert_eq!((boot.source, boot.problems), (ConfigSource::File, Vec::<String>::new()));
    }

    #[test]
    fn a_wrong_file_gives_way_to_what_was_in_force_and_without_that_to_nothing() {
        let boot = chosen("{", Some(GOOD)).expect("in force");
        assert_eq!((boot.source, boot.config.servers.len()), (ConfigSource::LastGood, 2));
        assert!(!boot.problems.is_empty());
        assert_eq!(chosen("{", None).expect_err("nothing to start with"), boot.problems);
        assert_eq!(chosen("{", Some("[")).expect_err("nothing to start with"), boot.problems);
    }

    #[test]
    fn a_mistaken_entry_begins_in_its_earlier_form_if_it_had_one() {
        let mistaken = r#"{"mcpServers": {"a": {"command": ""}, "b": {"command": "y"}}}"#;
        let boot = chosen(mistaken, Some(GOOD)).expect("in force");
        assert_eq!((boot.source, boot.problems.len()), (ConfigSource::File, 1));
        assert_eq!(boot.config.server("a"), parse(GOOD).expect("good").server("a"));
        assert_ne!(boot.config.server("b"), parse(GOOD).expect("good").server("b"));
        for copy in [None, Some(r#"{"mcpServers": {"b": {"command": "x"}}}"#)] {
            let boot = chosen(mistaken, copy).expect("in force");
            assert_eq!((boot.config.mistaken().count(), boot.problems), (1, Vec::new()), "{copy:?}");
        }
    }
}
