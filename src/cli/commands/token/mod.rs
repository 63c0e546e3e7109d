//! `mcproxy token`: tokens of clients (`auth.tokens`).

mod new;

pub(crate) use self::new::NewToken;
