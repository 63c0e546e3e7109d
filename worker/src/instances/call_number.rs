//! The numbers of calls between host and instance: each says which connection of the gateway it belongs to.

/// The number of the host's own calls, whose answers the host ignores.
pub(super) const OWN: u64 = 0;
/// The bits below it hold the gateway's number of a call, those above the connection that it belongs to.
const EPOCH_BIT: u32 = 48;

/// The gateway's number of a call, if the call belongs to the connection `epoch`.
pub(super) fn of_gateway(number: u64, epoch: u16) -> Option<u64> {
    (number >> EPOCH_BIT == u64::from(epoch)).then_some(number & ((1 << EPOCH_BIT) - 1))
}

/// The number of a call of the gateway, as the instance is told it.
pub(super) fn of_host(id: u64, epoch: u16) -> u64 {
    (u64::from(epoch) << EPOCH_BIT) | (id & ((1 << EPOCH_BIT) - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_leads_back_to_the_call_of_its_own_connection_only() {
        for id in [1, 77, (1 << EPOCH_BIT) - 1] {
            assert_eq!(of_gateway(of_host(id, 3), 3), Some(id));
            assert_eq!(of_gateway(of_host(id, 3), 4), None);
        }
        assert_eq!(of_gateway(OWN, 1), None);
    }
}
