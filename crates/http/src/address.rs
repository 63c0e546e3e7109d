//! Which addresses a server may have. Pure, but for the look-up of names.
//!
//! A name is looked up where the connection is made, so that what was checked is what is connected to (DNS rebinding).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::net::lookup_host;

/// Where clouds hand out credentials besides the link-local range: Alibaba, Azure.
const METADATA_V4: [Ipv4Addr; 2] = [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16)];
/// The same of AWS, in a range of private addresses.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// Which addresses may be connected to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AddressRule {
    /// Public ones only.
    pub deny_private: bool,
}

/// An address that is not connected to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{address} is {kind}, which MCProxy does not connect to{help}")]
pub struct ForbiddenAddress {
    address: IpAddr,
    kind: &'static str,
    help: &'static str,
}

/// A name has no address.
#[derive(Debug, thiserror::Error)]
#[error("the name `{0}` has no address")]
pub(crate) struct UnknownName(String, #[source] Option<std::io::Error>);

impl AddressRule {
    /// Whether this address may be connected to.
    ///
    /// # Errors
    /// Why not.
    pub fn check(self, address: IpAddr) -> Result<(), ForbiddenAddress> {
        let forbidden = |kind, help| Err(ForbiddenAddress { address, kind, help });
        let is_metadata = match plain(address) {
            IpAddr::V4(v4) => v4.is_link_local() || METADATA_V4.contains(&v4),
            IpAddr::V6(v6) => v6.is_unicast_link_local() || v6 == METADATA_V6,
        };
        if is_metadata {
            return forbidden("a link-local address or one where clouds hand out credentials", "");
        }
        let is_of_no_host = match plain(address) {
            IpAddr::V4(v4) => v4.is_unspecified() || v4.is_broadcast() || v4.is_multicast(),
            IpAddr::V6(v6) => v6.is_unspecified() || v6.is_multicast(),
        };
        if is_of_no_host {
            return forbidden("no address of a host", "");
        }
        if self.deny_private && is_private(plain(address)) {
            return forbidden("a private address", " (`denyPrivate`)");
        }
        Ok(())
    }
}

/// The IPv4 address in one of IPv6 that stands for it: mapped, or translated on the way (NAT64, RFC 6052).
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let nat64 = match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            Some(Ipv4Addr::new(a, b, c, d))
        }
        _ => None,
    };
    v6.to_ipv4_mapped().or(nat64).map_or(address, IpAddr::V4)
}

fn is_private(address: IpAddr) -> bool {
    match address {
        // RFC 6598 is for the inside of providers.
        IpAddr::V4(v4) => v4.is_private() || v4.is_loopback() || (v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local(),
    }
}

/// Looks names up and leaves out addresses that are not connected to.
pub(crate) struct CheckedResolver {
    /// `None`: any address may be connected to.
    pub(crate) rule: Option<AddressRule>,
    /// The name of the proxy: the operator chose it, and it may lie anywhere.
    pub(crate) exempt: Option<String>,
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_owned();
        let rule = self.rule.filter(|_| self.exempt.as_deref() != Some(&host));
        Box::pin(async move {
            let found = lookup_host((host.as_str(), 0)).await;
            let found: Vec<SocketAddr> = found.map_err(|error| UnknownName(host.clone(), Some(error)))?.collect();
            Ok(Box::new(allowed(rule, &host, found)?.into_iter()) as Addrs)
        })
    }
}

fn allowed(
    rule: Option<AddressRule>,
    host: &str,
    found: Vec<SocketAddr>,
) -> Result<Vec<SocketAddr>, Box<dyn std::error::Error + Send + Sync>> {
    let (mut allowed, mut forbidden) = (Vec::new(), None);
    for address in found {
        match rule.map_or(Ok(()), |rule| rule.check(address.ip())) {
            Ok(()) => allowed.push(address),
            Err(why) => forbidden = Some(why),
        }
    }
    match (allowed.is_empty(), forbidden) {
        (false, _) => Ok(allowed),
        (true, Some(why)) => Err(why.into()),
        (true, None) => Err(UnknownName(host.to_owned(), None).into()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_allowed(rule: AddressRule, address: &str) -> bool {
        rule.check(address.parse().expect("an address")).is_ok()
    }

    #[test]
    fn addresses_that_hand_out_credentials_are_refused_in_any_form() {
        for address in [
            "169.254.169.254",
            "169.254.170.2",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "fe80::1",
            "fd00:ec2::254",
            "100.100.100.200",
            "168.63.129.16",
            "0.0.0.0",
            "::",
            "224.0.0.1",
            "255.255.255.255",
            "ff02::1",
        ] {
            assert!(!is_allowed(AddressRule::default(), address), "{address}");
        }
    }

    #[test]
    fn private_addresses_are_refused_where_that_is_wanted() {
        let public_only = AddressRule { deny_private: true };
        for address in
            ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "::1", "fd12::1", "::ffff:10.0.0.1"]
        {
            assert!(is_allowed(AddressRule::default(), address), "{address}");
            assert!(!is_allowed(public_only, address), "{address}");
        }
        for address in ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111"] {
            assert!(is_allowed(public_only, address), "{address}");
        }
    }

    #[test]
    fn a_name_with_one_address_that_is_allowed_can_be_connected_to() {
        let rule = Some(AddressRule::default());
        let (good, bad) = ("127.0.0.1:0".parse().expect("one"), "169.254.1.1:0".parse().expect("one"));
        assert_eq!(allowed(rule, "x", vec![bad, good]).expect("one is left"), [good]);
        assert!(allowed(rule, "x", vec![bad]).expect_err("none").to_string().contains("link-local"));
        assert!(allowed(rule, "x", vec![]).expect_err("none").to_string().contains("`x` has no address"));
        assert_eq!(allowed(None, "proxy", vec![bad]).expect("exempt"), [bad]);
    }

    proptest! {
        #[test]
        fn an_address_means_the_same_when_it_is_mapped(bits in any::<u32>(), deny_private in any::<bool>()) {
            let (rule, v4) = (AddressRule { deny_private }, Ipv4Addr::from_bits(bits));
            let mapped = rule.check(v4.to_ipv6_mapped().into()).is_ok();
            prop_assert_eq!(rule.check(v4.into()).is_ok(), mapped);
        }
    }
}
