//! How much of the host dom0 gets: memory and virtual CPUs.

use partitioner::units::Bytes;
use serde::{Deserialize, Serialize};

/// What the boot loader tells Xen to give dom0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dom0Size {
    /// A multiple of 16 MiB.
    pub memory_mib: u32,
    pub vcpus: u32,
}

const BASE_MIB: u64 = 1024;
const MAX_MIB: u64 = 8192;
const GRAIN_MIB: u64 = 16;
const VCPUS_MAX: u32 = 16;

impl Dom0Size {
    /// 1024 MiB and 5 % of the host's memory, rounded down to 16 MiB, at most 8192 MiB; as many
    /// virtual CPUs as the host has, at most 16, at most 8 below 4 GiB of dom0 memory and at most
    /// 4 below 2 GiB.
    pub fn for_host(memory: Bytes, cpus: u32) -> Self {
        let host_mib = memory.get() >> 20;
        let wanted = BASE_MIB.saturating_add(host_mib / 20);
        let grains = wanted.min(MAX_MIB) / GRAIN_MIB;
        let memory_mib = u32::try_from(grains.saturating_mul(GRAIN_MIB))
            .expect("at most 8192, by the line above");
        let most = match memory_mib {
            0..2048 => 4,
            2048..4096 => 8,
            _ => VCPUS_MAX,
        };
        Self { memory_mib, vcpus: cpus.clamp(1, most) }
    }

    /// The arguments for Xen's command line.
    pub fn xen_args(self) -> String {
        let Self { memory_mib, vcpus } = self;
        format!("dom0_mem={memory_mib}M,max:{memory_mib}M dom0_max_vcpus={vcpus}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(host_mib: u32, cpus: u32, memory_mib: u32, vcpus: u32) {
        let got = Dom0Size::for_host(Bytes::mib(host_mib), cpus);
        assert_eq!(got, Dom0Size { memory_mib, vcpus });
    }

    #[test]
    fn small_hosts_round_down_to_16_mib() {
        check(0, 1, 1024, 1);
        check(319, 2, 1024, 2);
        check(320, 2, 1040, 2);
        check(2048, 2, 1120, 2);
        check(3072, 2, 1168, 2);
    }

    #[test]
    fn four_vcpus_below_2_gib_of_dom0() {
        check(20 * 1024 - 1, 64, 2032, 4);
        check(20 * 1024, 64, 2048, 8);
    }

    #[test]
    fn eight_vcpus_below_4_gib_of_dom0() {
        check(60 * 1024 - 1, 64, 4080, 8);
        check(60 * 1024, 64, 4096, 16);
        check(60 * 1024, 12, 4096, 12);
    }

    #[test]
    fn at_most_8_gib() {
        check(140 * 1024 - 1, 16, 8176, 16);
        check(140 * 1024, 16, 8192, 16);
        check(4 * 1024 * 1024 - 1, 256, 8192, 16);
    }

    #[test]
    fn a_host_that_reports_no_cpu_gives_one() {
        check(4096, 0, 1216, 1);
    }

    #[test]
    fn arguments() {
        let size = Dom0Size::for_host(Bytes::mib(3072), 2);
        assert_eq!(size.xen_args(), "dom0_mem=1168M,max:1168M dom0_max_vcpus=2");
    }
}
