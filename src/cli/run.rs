//! From the command line to the exit code.

use std::{error::Error, ffi::OsString};

use clap::Parser;
use mcproxy_ipc::control::{LoginTask, OperatorToSupervisor};

use super::{
    args::{AuditAction, Cli, Command, DoctorSubject, TokenAction, ToolsAction},
    commands, completion,
    console::Console,
    endpoint::Endpoint,
    error::CliError,
    exit::Exit,
    supervisor::{SupervisorClient, act_and_tell},
    target::{endpoint, token},
};

/// Runs the command line `args`, the program's name first.
pub fn run(args: impl IntoIterator<Item = OsString>, console: &mut Console) -> Exit {
    if let Some(shell) = std::env::var_os(completion::VARIABLE) {
        // The shell that asked shows no errors, and a reader that has left wants no answer.
        let _ = completion::answer(&shell, args.into_iter().collect(), &mut console.out);
        return Exit::Ok;
    }
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => {
            console.remark(error.render().to_string().trim_end());
            return Exit::Usage;
        }
        Err(help) => {
            let _ = write!(console.out, "{}", help.render());
            return Exit::Ok;
        }
    };
    match actix_web::rt::System::new().block_on(dispatch(cli, console)) {
        Ok(exit) => exit,
        Err(error) if error.is_closed_output() => Exit::Ok,
        Err(error) => {
            tell(&error, console);
            error.exit()
        }
    }
}

async fn dispatch(cli: Cli, console: &mut Console) -> Result<Exit, CliError> {
    let Cli { global, command } = cli;
    let supervisor = SupervisorClient::new(global.runtime_dir.as_deref());
    let json = global.json;
    match command {
        Command::Status { server } => commands::status::run(&supervisor, server.as_deref(), json, console).await,
        Command::Health { ready, timeout } => {
            let health = commands::health::HealthCheck { ready, timeout: std::time::Duration::from_secs(timeout) };
            let named = global.url.as_ref().map(|url| Endpoint::new(url, token(&global))).transpose()?;
            health.run(named, &supervisor, token(&global), json, console).await
        }
        Command::Tools { action: Some(ToolsAction::Diff { name, state_dir }), .. } => {
            commands::pins::DiffTools { server: name, state_dir, json }.run(console)
        }
        Command::Tools { action: Some(ToolsAction::Approve { name }), .. } => {
            let server = supervisor.known_server(&name).await?;
            act_and_tell(&supervisor, OperatorToSupervisor::Approve(server), json, console).await
        }
        Command::Tools { action: None, server, search, cost } => {
            let endpoint = endpoint(&global, &supervisor).await?;
            let tools = commands::tools::Tools { server, search, cost, json };
            // Behind another URL there are other servers than this supervisor's.
            let supervisor = global.url.is_none().then_some(&supervisor);
            tools.run(endpoint, supervisor, console).await
        }
        Command::Call { tool, args, timeout } => {
            let call = commands::call::CallArgs { tool, args, timeout: std::time::Duration::from_secs(timeout) };
            let endpoint = endpoint(&global, &supervisor).await?;
            call.run(endpoint, json, console).await
        }
        Command::Logs { server, follow, lines } => {
            let logs = commands::logs::Logs { server, follow, lines };
            logs.run(&supervisor, json, console).await
        }
        Command::Restart { server } => {
            let server = supervisor.known_server(&server).await?;
            act_and_tell(&supervisor, OperatorToSupervisor::Restart(server), json, console).await
        }
        Command::Login { server, scope, port, paste, no_browser } => {
            let login = commands::login::Login { server, scope, port, paste, no_browser };
            login.run(&supervisor, json, console).await
        }
        Command::Logout { server } => {
            let server = supervisor.known_server(&server).await?;
            let request = OperatorToSupervisor::Login { server, task: LoginTask::LogOut };
            act_and_tell(&supervisor, request, json, console).await
        }
        Command::Reload => act_and_tell(&supervisor, OperatorToSupervisor::Reload, json, console).await,
        Command::Stop => commands::stop::run(&supervisor, json, console).await,
        Command::Check { file, strict, state_dir } => {
            commands::check::Check { file, strict, json, state_dir }.run(console)
        }
        Command::Doctor { subject: None, fix, config } => {
            commands::doctor::Examination { global: &global, config, fix }.run(&supervisor, json, console).await
        }
        Command::Doctor { subject: Some(DoctorSubject::Security), .. } => {
            commands::doctor::security(&supervisor, global.runtime_dir.clone(), json, console).await
        }
        Command::Add(mut add) => {
            let options = std::mem::take(&mut add.options);
            commands::edit::ServerEdit::Add(Box::new(add)).run(&options, &supervisor, json, console).await
        }
        Command::Remove { server, options } => {
            commands::edit::ServerEdit::Remove(server).run(&options, &supervisor, json, console).await
        }
        Command::Enable { server, options } => {
            commands::edit::ServerEdit::Switch(server, true).run(&options, &supervisor, json, console).await
        }
        Command::Disable { server, options } => {
            commands::edit::ServerEdit::Switch(server, false).run(&options, &supervisor, json, console).await
        }
        Command::Service { action } => commands::service::run(action, console),
        Command::Paths => commands::paths::run(&supervisor, global.runtime_dir.as_deref(), json, console).await,
        Command::Audit { action: AuditAction::Verify { dir } } => {
            commands::audit::VerifyAudit { dir, json }.run(console)
        }
        Command::Token { action: TokenAction::List } => commands::token::list(&supervisor, json, console).await,
        Command::Token { action: TokenAction::New(new) } => new.run(&supervisor, json, console).await,
        Command::Token { action: TokenAction::Revoke { which, options } } => {
            commands::token::revoke(&which, &options, &supervisor, console).await
        }
        Command::Approvals { action } => commands::approvals::run(action, &supervisor, json, console).await,
        Command::Completions { shell } => {
            shell.write_script(&mut console.out)?;
            Ok(Exit::Ok)
        }
        Command::Schema => commands::schema::run(console),
        Command::Import(args) => args.run(&supervisor, json, console).await,
        Command::Init(args) => commands::init::run(&args, &supervisor, console).await,
        Command::Watch => {
            let endpoint = endpoint(&global, &supervisor).await?;
            commands::watch::watch(&endpoint, supervisor, console).await
        }
        Command::Trace { server } => {
            let endpoint = endpoint(&global, &supervisor).await?;
            commands::watch::trace(server.as_deref(), &endpoint, supervisor, json, console).await
        }
        Command::Man { dir } => commands::man::run(dir.as_deref(), console),
        Command::Link(args) => {
            let base = match (&args.choice.clients[..], &global.url) {
                ([], _) => String::new(),
                (_, Some(url)) => Endpoint::new(url, None)?.url().to_owned(),
                (_, None) => crate::status_view::endpoint_url(&supervisor.status().await?),
            };
            let url = match &args.group {
                Some(group) => format!("{}/groups/{group}/mcp", base.trim_end_matches("/mcp")),
                None => base,
            };
            commands::link::link(&args, &url, token(&global).as_deref(), json, console)
        }
        Command::Unlink { choice, keep_changes } => commands::link::unlink(&choice, keep_changes, json, console),
        Command::Connect { url } => {
            let endpoint = match url.as_ref().or(global.url.as_ref()) {
                Some(url) => Endpoint::new(url, token(&global))?,
                None => match endpoint(&global, &supervisor).await {
                    Ok(endpoint) => endpoint,
                    Err(_) => Endpoint::new(super::endpoint::DEFAULT_URL, token(&global))?,
                },
            };
            let asked = endpoint.url().to_owned();
            let endpoint = endpoint.or_streamable().await;
            if endpoint.url() != asked {
                console.remark(format_args!("mcproxy connect: {asked} is of HTTP+SSE; using {}", endpoint.url()));
            }
            commands::connect::run(endpoint, console).await
        }
    }
}

/// The chain of causes on one line each.
fn tell(error: &CliError, console: &mut Console) {
    console.remark(format_args!("mcproxy: {error}"));
    let mut cause = error.source();
    while let Some(source) = cause {
        console.remark(format_args!("  because: {source}"));
        cause = source.source();
    }
}
