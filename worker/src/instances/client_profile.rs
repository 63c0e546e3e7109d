//! The profile of an instance: in which era it is spoken to, and what it was told of its client. Pure.
//!
//! A server of both eras is spoken to as its session's own client speaks: tools that ask in the middle of a call, and log
//! lines, then come as they do without MCProxy (`docs/decisions/0083-instances-mirror-their-clients-era.md`).

use std::rc::Rc;

use mcproxy_ipc::{ClientDeclaration, EraRule, data::ServerEra};

/// How an instance is spoken to, or has to be.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum ClientProfile {
    /// It hears of its client with each call, so it may be any client's.
    Modern,
    /// It was told in `initialize`.
    Legacy(Rc<ClientDeclaration>),
}

impl ClientProfile {
    fn era(&self) -> ServerEra {
        match self {
            Self::Modern => ServerEra::Modern,
            Self::Legacy(_) => ServerEra::Legacy,
        }
    }
}

/// The eras that a server is known to speak, and what follows from them.
#[derive(Debug)]
pub(crate) struct Eras {
    rule: EraRule,
    legacy: Option<bool>,
    modern: Option<bool>,
    /// The declaration where no client in particular is meant: everything that a client may be able to do.
    full: Rc<ClientDeclaration>,
}

impl Eras {
    pub(crate) fn new(rule: EraRule, full: ClientDeclaration) -> Self {
        let (legacy, modern) = match rule {
            EraRule::Only(ServerEra::Legacy) => (Some(true), Some(false)),
            EraRule::Only(ServerEra::Modern) => (Some(false), Some(true)),
            // It was asked what it speaks when that was found out.
            EraRule::Auto { known: Some(ServerEra::Legacy) } => (None, Some(false)),
            EraRule::Auto { .. } => (None, None),
        };
        Self { rule, legacy, modern, full: Rc::new(full) }
    }

    /// The profile for clients whose requests stand for themselves, and for the lists that all see.
    pub(crate) fn common(&self) -> ClientProfile {
        self.fitting(&ClientProfile::Modern)
    }

    /// The nearest to this that the server has.
    pub(crate) fn fitting(&self, wanted: &ClientProfile) -> ClientProfile {
        match wanted {
            ClientProfile::Legacy(_) if self.legacy == Some(false) => ClientProfile::Modern,
            ClientProfile::Modern if self.modern == Some(false) => ClientProfile::Legacy(self.full.clone()),
            client_profile => client_profile.clone(),
        }
    }

    /// How a process that is to be like this is begun with.
    pub(crate) fn rule(&self, client_profile: &ClientProfile) -> EraRule {
        match self.rule {
            EraRule::Only(_) => self.rule,
            // Without an `initialize` of its own it would find out by it.
            EraRule::Auto { .. } if *client_profile == ClientProfile::Modern && self.modern.is_none() => self.rule,
            EraRule::Auto { .. } => EraRule::Auto { known: Some(client_profile.era()) },
        }
    }

    /// The declaration in `initialize` for a process of this profile.
    pub(crate) fn told(&self, client_profile: &ClientProfile) -> Rc<ClientDeclaration> {
        match client_profile {
            ClientProfile::Modern => self.full.clone(),
            ClientProfile::Legacy(client) => client.clone(),
        }
    }

    /// A process that was to be like this turned out to speak that. Says what it is like.
    pub(crate) fn learn(&mut self, client_profile: &ClientProfile, era: ServerEra) -> ClientProfile {
        match (client_profile, era) {
            (ClientProfile::Modern, ServerEra::Modern) => self.modern = Some(true),
            (ClientProfile::Legacy(_), ServerEra::Legacy) => self.legacy = Some(true),
            // It still speaks an era that it once spoke: one slow start is no reason to forget that.
            (ClientProfile::Modern, ServerEra::Legacy) => {
                self.legacy = Some(true);
                self.modern.get_or_insert(false);
            }
            (ClientProfile::Legacy(_), ServerEra::Modern) => {
                self.modern = Some(true);
                self.legacy.get_or_insert(false);
            }
        }
        match (client_profile, era) {
            (_, ServerEra::Modern) => ClientProfile::Modern,
            (client_profile, ServerEra::Legacy) => ClientProfile::Legacy(self.told(client_profile)),
        }
    }

    /// It was found out too late for the process that was asked that the server speaks this.
    pub(crate) fn correct(&mut self, era: ServerEra) {
        match era {
            ServerEra::Legacy => self.legacy = Some(true),
            ServerEra::Modern => self.modern = Some(true),
        }
    }

    /// A process that was to be like this never got ready. Whether one in the other era deserves a try: it is known to
    /// work, and nothing says that this one ever did.
    pub(crate) fn give_up(&mut self, client_profile: &ClientProfile) -> bool {
        let is_doubtful =
            matches!(client_profile, ClientProfile::Legacy(_)) && self.legacy.is_none() && self.modern == Some(true);
        if is_doubtful {
            self.legacy = Some(false);
        }
        is_doubtful
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(text: &str) -> ClientDeclaration {
        ClientDeclaration { capabilities: text.to_owned(), info: None }
    }

    fn mine() -> ClientProfile {
        ClientProfile::Legacy(Rc::new(client("mine")))
    }

    fn full() -> ClientProfile {
        ClientProfile::Legacy(Rc::new(client("full")))
    }

    fn auto(known: Option<ServerEra>) -> Eras {
        Eras::new(EraRule::Auto { known }, client("full"))
    }

    #[test]
    fn a_server_of_both_eras_is_spoken_to_as_the_client_speaks() {
        let mut eras = auto(None);
        assert_eq!(eras.rule(&eras.common()), EraRule::Auto { known: None });
        assert_eq!(eras.learn(&ClientProfile::Modern, ServerEra::Modern), ClientProfile::Modern);
        assert_eq!(eras.fitting(&mine()), mine());
        assert_eq!(eras.rule(&mine()), EraRule::Auto { known: Some(ServerEra::Legacy) });
        assert_eq!(eras.learn(&mine(), ServerEra::Legacy), mine());
        assert_eq!((eras.fitting(&mine()), eras.common()), (mine(), ClientProfile::Modern));
        assert_eq!(eras.rule(&ClientProfile::Modern), EraRule::Auto { known: Some(ServerEra::Modern) });
        assert!(!eras.give_up(&mine()), "it worked before");
    }

    #[test]
    fn a_server_of_one_era_gets_all_clients_in_that() {
        let mut modern = auto(None);
        modern.learn(&ClientProfile::Modern, ServerEra::Modern);
        assert_eq!(modern.learn(&mine(), ServerEra::Modern), ClientProfile::Modern, "it refused `initialize`");
        assert_eq!((modern.fitting(&mine()), modern.common()), (ClientProfile::Modern, ClientProfile::Modern));
        let mut legacy = auto(None);
        assert_eq!(legacy.learn(&ClientProfile::Modern, ServerEra::Legacy), full());
        assert_eq!((legacy.fitting(&mine()), legacy.common()), (mine(), full()));
        assert_eq!(auto(Some(ServerEra::Legacy)).common(), full());
    }

    #[test]
    fn what_is_configured_is_not_mirrored() {
        let only = |era| Eras::new(EraRule::Only(era), client("full"));
        let (legacy, modern) = (only(ServerEra::Legacy), only(ServerEra::Modern));
        assert_eq!((legacy.common(), legacy.fitting(&mine())), (full(), mine()));
        assert_eq!((modern.common(), modern.fitting(&mine())), (ClientProfile::Modern, ClientProfile::Modern));
        assert_eq!(modern.rule(&ClientProfile::Modern), EraRule::Only(ServerEra::Modern));
    }

    #[test]
    fn a_server_that_ends_at_initialize_is_spoken_to_in_the_era_that_is_known_to_work() {
        let mut eras = auto(None);
        assert!(!eras.give_up(&mine()), "nothing else is known to work");
        eras.learn(&ClientProfile::Modern, ServerEra::Modern);
        assert!(eras.give_up(&mine()) && !eras.give_up(&ClientProfile::Modern));
        assert_eq!(eras.fitting(&mine()), ClientProfile::Modern);
    }

    #[test]
    fn one_slow_start_does_not_change_what_is_known() {
        let mut eras = auto(Some(ServerEra::Modern));
        eras.learn(&ClientProfile::Modern, ServerEra::Modern);
        assert_eq!(
            eras.learn(&ClientProfile::Modern, ServerEra::Legacy),
            full(),
            "this one answered `initialize` only"
        );
        assert_eq!(eras.common(), ClientProfile::Modern);
        let mut silent = auto(None);
        silent.learn(&ClientProfile::Modern, ServerEra::Legacy);
        assert_eq!(silent.common(), full());
        silent.correct(ServerEra::Modern);
        assert_eq!(silent.common(), ClientProfile::Modern, "it answered in the end");
    }
}
