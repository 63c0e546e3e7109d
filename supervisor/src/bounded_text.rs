//! Texts cut to what a report, a route or a log line has room for.

/// Most bytes of the last errors of all servers together.
pub(crate) const MAX_ERRORS: usize = 96 * 1024;
/// Most bytes of the reason for one state change.
pub(crate) const MAX_REASON: usize = 160;
/// Most bytes of the mistakes of a configuration that is not in force.
pub(crate) const MAX_CONFIG_ERROR: usize = 32 * 1024;

/// Cuts a text that is longer than `most` bytes and puts `…` (three bytes) in the place of the rest.
pub(crate) fn cut(mut text: String, most: usize) -> String {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
        text.push('…');
    }
    text
}

/// Cuts the last error of one of `servers` to its share of what fits. Most errors are far shorter than this.
pub(crate) fn cut_error(error: Option<String>, servers: usize) -> Option<String> {
    error.map(|text| cut(text, MAX_ERRORS / servers.max(1)))
}
