//! Programs that keep a file of MCP servers: where that is, and how an address is written into it.

use std::path::{Path, PathBuf};

use mcproxy_config::Json;

use super::user_dirs::user_config_dir;

/// A program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ClientProgram {
    ClaudeDesktop,
    ClaudeCode,
    Cursor,
    VsCode,
    Windsurf,
    Zed,
    Codex,
    Gemini,
    OpenCode,
    McpHub,
    McpproxyGo,
    OneMcp,
}

/// The form of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileForm {
    /// JSON; most of these programs take comments.
    Json,
    Toml,
}

/// Where a file lies.
#[derive(Debug, Clone, Copy)]
enum Base {
    Home,
    /// `XDG_CONFIG_HOME`.
    Config,
}

impl ClientProgram {
    /// All of them.
    pub(crate) const ALL: [Self; 12] = [
        Self::ClaudeDesktop,
        Self::ClaudeCode,
        Self::Cursor,
        Self::VsCode,
        Self::Windsurf,
        Self::Zed,
        Self::Codex,
        Self::Gemini,
        Self::OpenCode,
        Self::McpHub,
        Self::McpproxyGo,
        Self::OneMcp,
    ];

    /// The word for it on the command line.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::ClaudeDesktop => "claude-desktop",
            Self::ClaudeCode => "claude-code",
            Self::Cursor => "cursor",
            Self::VsCode => "vscode",
            Self::Windsurf => "windsurf",
            Self::Zed => "zed",
            Self::Codex => "codex",
            Self::Gemini => "gemini",
            Self::OpenCode => "opencode",
            Self::McpHub => "mcphub",
            Self::McpproxyGo => "mcpproxy-go",
            Self::OneMcp => "1mcp",
        }
    }

    /// What people call it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::ClaudeDesktop => "Claude Desktop",
            Self::ClaudeCode => "Claude Code",
            Self::Cursor => "Cursor",
            Self::VsCode => "VS Code",
            Self::Windsurf => "Windsurf",
            Self::Zed => "Zed",
            Self::Codex => "Codex",
            Self::Gemini => "Gemini CLI",
            Self::OpenCode => "OpenCode",
            Self::McpHub => "MCPHub",
            Self::McpproxyGo => "mcpproxy-go",
            Self::OneMcp => "1MCP",
        }
    }

    /// The program of that word, however it is spelled.
    pub(crate) fn of_word(word: &str) -> Option<Self> {
        let plain = |word: &str| -> String {
            word.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
        };
        let word = plain(word);
        let other = match word.as_str() {
            "claude" => Some(Self::ClaudeCode),
            "code" | "copilot" => Some(Self::VsCode),
            "geminicli" => Some(Self::Gemini),
            _ => None,
        };
        Self::ALL.into_iter().find(|program| plain(program.word()) == word).or(other)
    }

    /// Whether it is a gateway itself, to which nothing is linked.
    pub(crate) fn is_gateway(self) -> bool {
        matches!(self, Self::McpHub | Self::McpproxyGo | Self::OneMcp)
    }

    pub(crate) fn form(self) -> FileForm {
        match self {
            Self::Codex => FileForm::Toml,
            _ => FileForm::Json,
        }
    }

    /// Where its file may be, the usual place first.
    pub(crate) fn files(self) -> Vec<PathBuf> {
        self.files_below(std::env::home_dir().as_deref(), user_config_dir().as_deref())
    }

    fn files_below(self, home: Option<&Path>, config: Option<&Path>) -> Vec<PathBuf> {
        use Base::{Config, Home};
        let places: &[(Base, &str)] = match self {
            Self::ClaudeDesktop => &[(Config, "Claude/claude_desktop_config.json")],
            Self::ClaudeCode => &[(Home, ".claude.json")],
            Self::Cursor => &[(Home, ".cursor/mcp.json")],
            Self::VsCode => &[
                (Config, "Code/User/mcp.json"),
                (Config, "Code - Insiders/User/mcp.json"),
                (Config, "VSCodium/User/mcp.json"),
            ],
            Self::Windsurf => &[(Home, ".codeium/windsurf/mcp_config.json")],
            Self::Zed => &[(Config, "zed/settings.json")],
            Self::Codex => &[(Home, ".codex/config.toml")],
            Self::Gemini => &[(Home, ".gemini/settings.json")],
            Self::OpenCode => &[(Config, "opencode/opencode.json"), (Config, "opencode/opencode.jsonc")],
            Self::McpHub => &[],
            Self::McpproxyGo => &[(Home, ".mcpproxy/mcp_config.json")],
            Self::OneMcp => &[(Config, "1mcp/mcp.json")],
        };
        let place = |(base, path): &(Base, &str)| {
            let base = match base {
                Home => home,
                Config => config,
            };
            Some(base?.join(path))
        };
        places.iter().filter_map(place).collect()
    }

    /// Its file, if it is there.
    pub(crate) fn file(self) -> Option<PathBuf> {
        self.files().into_iter().find(|path| path.is_file())
    }

    /// Whether it seems to be installed: its file is there, or the folder for it.
    pub(crate) fn is_here(self) -> bool {
        let is_here = |path: &PathBuf| match self {
            // Its folder is the person's own.
            Self::ClaudeCode => path.is_file(),
            _ => path.is_file() || path.parent().is_some_and(Path::is_dir),
        };
        self.files().iter().any(is_here)
    }

    /// The program that wrote a file, as far as the file's name and place say it.
    pub(crate) fn of_path(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let folder = path.parent().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default();
        Some(match (folder, name) {
            (_, "claude_desktop_config.json") => Self::ClaudeDesktop,
            (_, ".claude.json" | ".mcp.json") => Self::ClaudeCode,
            (".cursor", "mcp.json") => Self::Cursor,
            (".vscode" | "User", "mcp.json" | "settings.json") => Self::VsCode,
            ("windsurf", "mcp_config.json") => Self::Windsurf,
            ("zed" | ".zed", "settings.json") => Self::Zed,
            (".gemini", "settings.json") => Self::Gemini,
            (_, "opencode.json" | "opencode.jsonc") => Self::OpenCode,
            (_, "mcp_settings.json") => Self::McpHub,
            (".mcpproxy", "mcp_config.json") => Self::McpproxyGo,
            ("1mcp", "mcp.json") => Self::OneMcp,
            _ if name.ends_with(".toml") => Self::Codex,
            _ if name.ends_with(".code-workspace") => Self::VsCode,
            _ => return None,
        })
    }

    /// The keys below which it keeps its servers by name.
    pub(crate) fn container(self) -> &'static str {
        match self {
            Self::VsCode => "servers",
            Self::Zed => "context_servers",
            Self::Codex => "mcp_servers",
            Self::OpenCode => "mcp",
            _ => "mcpServers",
        }
    }

    /// Its entry for an endpoint; `program` is where `mcproxy` lies, for those that cannot reach it by themselves.
    pub(crate) fn entry(self, url: &str, token: Option<&str>, program: &str) -> Json {
        let text = |text: &str| Json::Text(text.to_owned());
        let mut members: Vec<(&str, Json)> = match self {
            Self::ClaudeDesktop => vec![("command", text(program)), ("args", Json::texts(["connect", url]))],
            Self::ClaudeCode | Self::VsCode => vec![("type", text("http")), ("url", text(url))],
            Self::Windsurf => vec![("serverUrl", text(url))],
            Self::Gemini => vec![("httpUrl", text(url))],
            Self::OpenCode => vec![("type", text("remote")), ("url", text(url)), ("enabled", Json::Bool(true))],
            Self::Cursor | Self::Zed | Self::Codex | Self::McpHub | Self::McpproxyGo | Self::OneMcp => {
                vec![("url", text(url))]
            }
        };
        if let Some(token) = token {
            let (key, name, value) = match self {
                Self::ClaudeDesktop => ("env", "MCPROXY_TOKEN", token.to_owned()),
                Self::Codex => ("http_headers", "Authorization", format!("Bearer {token}")),
                _ => ("headers", "Authorization", format!("Bearer {token}")),
            };
            members.push((key, Json::pairs([(name.to_owned(), value)])));
        }
        Json::Object(members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_has_a_word_of_its_own_and_is_known_by_its_files() {
        for program in ClientProgram::ALL {
            assert_eq!(ClientProgram::of_word(program.word()), Some(program));
            assert_eq!(ClientProgram::of_word(program.title()), Some(program), "{}", program.title());
            let files = program.files_below(Some(Path::new("/home/me")), Some(Path::new("/home/me/.config")));
            for file in files {
                assert_eq!(ClientProgram::of_path(&file), Some(program), "{}", file.display());
            }
        }
        assert_eq!(ClientProgram::of_word("emacs"), None);
        assert_eq!(ClientProgram::of_path(Path::new("x/mcp.json")), None);
    }
}
