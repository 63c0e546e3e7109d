//! What a launcher is told.

use std::{
    ffi::{OsStr, OsString},
    io,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::PathBuf,
};

use mcproxy_confine::{ResourceLimits, SealedMemory};

/// How an order begins: a launcher of another build must not guess.
const FORMAT: &[u8] = b"mcproxy-launch 1";
/// The end of a field. exec(3) takes no text that holds one.
const END: u8 = 0;
/// In the place of what there is not.
const NONE: &[u8] = b"-";

/// What a launcher is told: what it becomes, and what it asks for before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LaunchOrder {
    /// The process id of the worker, without which the server must not be.
    pub parent: u32,
    /// Whether the worker moves the process into the server's cgroup, and says on its stdin when that is done.
    pub waits: bool,
    /// The limits of the server; `None`: nothing is asked of the kernel.
    pub limits: Option<ResourceLimits>,
    /// Absolute, or relative to the directory that the launcher is in.
    pub program: PathBuf,
    /// Its arguments, without its own name.
    pub args: Vec<OsString>,
}

impl LaunchOrder {
    /// Seals it for the launcher.
    ///
    /// # Errors
    /// A text holds a NUL byte, it is too large, or the kernel gives no memory that can be sealed.
    pub fn seal(&self) -> io::Result<SealedMemory> {
        SealedMemory::create(&self.to_bytes()?)
    }

    /// Reads the one that this process was started with.
    ///
    /// # Errors
    /// There is none of this number, or it is of another build.
    pub fn read(number: &OsStr) -> io::Result<Self> {
        let bytes = SealedMemory::read(number)?;
        let wrong = "it was written by another build of MCProxy";
        Self::from_bytes(&bytes).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, wrong))
    }

    fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let number = |number: Option<u64>| number.map_or_else(|| NONE.to_vec(), |number| number.to_string().into());
        let is_on = u64::from(self.limits.is_some());
        let limits = self.limits.unwrap_or_default();
        let head = [FORMAT.to_vec(), number(Some(self.parent.into())), number(Some(self.waits.into()))];
        let limits = [Some(is_on), limits.files, limits.processes, limits.file_bytes].map(number);
        let mut bytes: Vec<u8> = Vec::new();
        for field in head.iter().chain(&limits).map(Vec::as_slice) {
            put(&mut bytes, field);
        }
        for text in [self.program.as_os_str()].into_iter().chain(self.args.iter().map(OsString::as_os_str)) {
            if text.as_bytes().contains(&END) {
                let shown = text.to_string_lossy().replace('\0', "\\0");
                let why = format!("a program or an argument holds a NUL byte: {shown:?}");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
            }
            put(&mut bytes, text.as_bytes());
        }
        Ok(bytes)
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut fields = bytes.strip_suffix(&[END])?.split(|byte| *byte == END);
        if fields.next()? != FORMAT {
            return None;
        }
        let mut number = || number(fields.next()?);
        let (parent, waits, is_on) = (number()??, number()??, number()??);
        let limits = ResourceLimits { files: number()?, processes: number()?, file_bytes: number()? };
        let mut texts = fields.map(|field| OsString::from_vec(field.to_vec()));
        Some(Self {
            parent: u32::try_from(parent).ok()?,
            waits: flag(waits)?,
            limits: flag(is_on)?.then_some(limits),
            program: texts.next()?.into(),
            args: texts.collect(),
        })
    }
}

fn put(bytes: &mut Vec<u8>, field: &[u8]) {
    bytes.extend_from_slice(field);
    bytes.push(END);
}

/// The outer `None`: neither a number nor the sign that there is none.
fn number(field: &[u8]) -> Option<Option<u64>> {
    if field == NONE {
        return Some(None);
    }
    let digits = std::str::from_utf8(field).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse().ok().map(Some)
}

fn flag(number: u64) -> Option<bool> {
    match number {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text() -> impl Strategy<Value = OsString> {
        prop::collection::vec(1u8.., 0..12).prop_map(OsString::from_vec)
    }

    fn limits() -> impl Strategy<Value = ResourceLimits> {
        let any = any::<Option<u64>>();
        (any.clone(), any.clone(), any).prop_map(|(files, processes, file_bytes)| ResourceLimits {
            files,
            processes,
            file_bytes,
        })
    }

    fn order() -> impl Strategy<Value = LaunchOrder> {
        let args = prop::collection::vec(text(), 0..4);
        (any::<u32>(), any::<bool>(), prop::option::of(limits()), text(), args).prop_map(
            |(parent, waits, limits, program, args)| LaunchOrder {
                parent,
                waits,
                limits,
                program: program.into(),
                args,
            },
        )
    }

    proptest! {
        #[test]
        fn an_order_is_read_as_it_was_written(order in order()) {
            let bytes = order.to_bytes().expect("no NUL");
            prop_assert_eq!(LaunchOrder::from_bytes(&bytes), Some(order));
        }

        #[test]
        fn an_order_that_is_cut_is_none_or_lacks_its_last_arguments(order in order(), cut in 1usize..200) {
            let bytes = order.to_bytes().expect("no NUL");
            if let Some(read) = LaunchOrder::from_bytes(&bytes[..bytes.len().saturating_sub(cut)]) {
                prop_assert!(order.args.starts_with(&read.args) && read.args.len() < order.args.len());
                prop_assert_eq!(read.program, order.program);
            }
        }

        #[test]
        fn whatever_is_read_never_panics_and_is_written_as_it_was(bytes in prop::collection::vec(prop_oneof![Just(0u8), any::<u8>()], 0..64)) {
            let bytes = [FORMAT, &[END], &bytes].concat();
            if let Some(order) = LaunchOrder::from_bytes(&bytes) {
                let again = order.to_bytes().expect("no NUL");
                prop_assert_eq!(LaunchOrder::from_bytes(&again), Some(order));
            }
        }
    }

    #[test]
    fn a_text_that_no_program_can_be_given_is_refused_by_name() {
        let order = LaunchOrder { args: vec!["a\0b".into()], ..LaunchOrder::default() };
        let error = order.seal().expect_err("refused").to_string();
        assert!(error.contains("NUL byte") && error.contains("a\\\\0b"), "{error}");
    }

    #[test]
    fn an_order_of_another_build_is_refused() {
        let other = SealedMemory::create(b"mcproxy-launch 2\0").expect("created");
        let error = other.hand_on(|number| LaunchOrder::read(&number)).expect_err("refused");
        assert!(error.to_string().contains("another build"), "{error}");
    }
}
