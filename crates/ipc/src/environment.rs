//! The variables that the environment of a process of ours, and of a server, begins with.

use std::ffi::OsString;

/// Carries the generation, so that the supervisor finds processes that left their group.
pub const INSTANCE: &str = "MCPROXY_INSTANCE";

/// The variables that our own processes and, through them, the servers take over from the supervisor, each for a reason.
/// Everything else stays there: secrets for the configuration, most of all.
const PASSED_ON: &[&str] = &[
    // who and where
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "TERM",
    // where caches and settings live
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    // how to get out: package runners download what they start
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "NODE_USE_ENV_PROXY",
    "JSR_URL",
    // whom to trust on the way
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NIX_SSL_CERT_FILE",
    "GIT_SSL_CAINFO",
    "NODE_EXTRA_CA_CERTS",
    "NODE_USE_SYSTEM_CA",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    // where programs that stand in for others find them
    "NVM_DIR",
    "VOLTA_HOME",
    "PNPM_HOME",
    "PYENV_ROOT",
    "ASDF_DIR",
    "ASDF_DATA_DIR",
    "MISE_DATA_DIR",
    // which daemon runs images
    "DOCKER_HOST",
    "DOCKER_CONTEXT",
    "DOCKER_CONFIG",
    "DOCKER_TLS_VERIFY",
    "DOCKER_CERT_PATH",
    "CONTAINER_HOST",
];

/// The settings of package runners: which registry, which Python, which cache. All but what names a credential.
const RUNNERS: &[&str] = &["npm_config_", "uv_", "pip_", "pipx_", "bun_", "deno_", "yarn_", "corepack_"];

/// Words in the name of a runner's variable that make it a credential, which no server gets for being started. Those who
/// need one write it into the `env` of the servers that may have it.
const CREDENTIALS: &[&str] = &[
    "auth",
    "authtoken",
    "token",
    "tokens",
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "apikey",
    "username",
    "secret",
    "key",
    "otp",
    "credential",
    "credentials",
];

/// Whether a word in the name of a variable, in lower case, says that its value is a credential.
pub fn is_credential(word: &str) -> bool {
    CREDENTIALS.contains(&word)
}

/// Whether servers find this variable of the supervisor's environment in theirs.
pub fn is_passed_on(name: &str) -> bool {
    if PASSED_ON.contains(&name) {
        return true;
    }
    let name = name.to_ascii_lowercase();
    RUNNERS.iter().any(|runner| name.starts_with(runner))
        && !name.split(|c: char| !c.is_ascii_alphanumeric()).any(is_credential)
}

/// Variables that say where runners and libraries keep caches, settings and what they have installed; in any case of letters.
const RUNNER_DIRECTORIES: &[&str] = &[
    "xdg_cache_home",
    "xdg_config_home",
    "xdg_data_home",
    "npm_config_cache",
    "npm_config_prefix",
    "yarn_cache_folder",
    "yarn_global_folder",
    "corepack_home",
    "pnpm_home",
    "uv_cache_dir",
    "uv_tool_dir",
    "uv_tool_bin_dir",
    "pip_cache_dir",
    "pipx_home",
    "pipx_bin_dir",
    "bun_install",
    "bun_install_cache_dir",
    "deno_dir",
];

/// Variables that say who a user is, and where else something of it lies.
const OF_A_USER: &[&str] = &["HOME", "USER", "LOGNAME", "TMPDIR", "DOCKER_CONFIG", "deno_install_root"];

/// Whether this variable says where a runner or a library keeps its caches, settings and what it has installed.
pub fn is_runner_directory(name: &str) -> bool {
    is_among(name, RUNNER_DIRECTORIES)
}

/// Whether this variable says where something of a user lies, or who that is. Nothing for another user, who cannot write there
/// and finds its own below its own HOME.
pub fn is_of_a_user(name: &str) -> bool {
    is_runner_directory(name) || is_among(name, OF_A_USER)
}

fn is_among(name: &str, known: &[&str]) -> bool {
    known.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Those of an environment that servers find in theirs.
pub fn passed_on(
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> impl Iterator<Item = (OsString, OsString)> {
    environment.into_iter().filter(|(name, _)| name.to_str().is_some_and(is_passed_on))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_of_package_runners_are_passed_on() {
        for name in [
            "PATH",
            "UV_PYTHON",
            "UV_PYTHON_INSTALL_DIR",
            "UV_INDEX",
            "UV_INDEX_URL",
            "UV_DEFAULT_INDEX",
            "UV_CACHE_DIR",
            "UV_KEYRING_PROVIDER",
            "npm_config_cache",
            "NPM_CONFIG_REGISTRY",
            "npm_config_@scope:registry",
            "npm_config_userconfig",
            "npm_config_cafile",
            "PIP_INDEX_URL",
            "PIP_CERT",
            "BUN_CONFIG_REGISTRY",
            "BUN_INSTALL",
            "DENO_DIR",
            "DENO_CERT",
            "DENO_TLS_CA_STORE",
            "NODE_EXTRA_CA_CERTS",
            "SSL_CERT_DIR",
            "https_proxy",
        ] {
            assert!(is_passed_on(name), "{name}");
        }
    }

    #[test]
    fn what_lies_below_a_home_is_told_from_what_all_users_share() {
        for name in
            ["HOME", "TMPDIR", "XDG_CACHE_HOME", "NPM_CONFIG_CACHE", "npm_config_cache", "UV_CACHE_DIR", "DENO_DIR"]
        {
            assert!(is_passed_on(name) && is_of_a_user(name), "{name}");
        }
        for name in ["PATH", "LANG", "NVM_DIR", "UV_INDEX_URL", "NPM_CONFIG_REGISTRY", "SSL_CERT_FILE", "https_proxy"] {
            assert!(is_passed_on(name) && !is_of_a_user(name), "{name}");
        }
    }

    #[test]
    fn their_credentials_and_everything_else_are_not() {
        for name in [
            "npm_config_//registry.npmjs.org/:_authToken",
            "npm_config__auth",
            "npm_config_//r/:_password",
            "NPM_TOKEN",
            "npm_config_otp",
            "npm_config_key",
            "UV_INDEX_CORP_PASSWORD",
            "UV_INDEX_CORP_USERNAME",
            "UV_PUBLISH_TOKEN",
            "DENO_AUTH_TOKENS",
            "BUN_CONFIG_TOKEN",
            "YARN_NPM_AUTH_TOKEN",
            "NODE_OPTIONS",
            "NODE_PATH",
            "PYTHONPATH",
            "LD_PRELOAD",
            "SSH_AUTH_SOCK",
            "GITHUB_TOKEN",
            "MCPROXY_TOKEN",
            "XDG_RUNTIME_DIR",
            "",
        ] {
            assert!(!is_passed_on(name), "{name}");
        }
    }
}
