//! How much memory and how many CPUs a machine has.

use std::fs;

use partitioner::units::Bytes;

use super::sysfs::attribute;
use super::{Machine, ProbeError};

/// The memory that the firmware offers, from the kernel's map of it; what the kernel itself took is
/// included. Where the map hides its addresses (no root), the kernel's own total, a little less.
pub(super) fn installed(machine: &Machine) -> Result<Bytes, ProbeError> {
    let map = fs::read_to_string(machine.proc.join("iomem")).unwrap_or_default();
    let from_map = system_ram(&map);
    if from_map != 0 {
        return Ok(Bytes::new(from_map));
    }
    let path = machine.proc.join("meminfo");
    let text = fs::read_to_string(&path)
        .map_err(|source| ProbeError::Read { path: path.clone(), source })?;
    mem_total(&text)
        .map(Bytes::new)
        .ok_or(ProbeError::Unexpected { path, what: "it has no line MemTotal".to_owned() })
}

fn mem_total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The sum of the top-level ranges `00001000-0009fbff : System RAM`.
fn system_ram(iomem: &str) -> u64 {
    iomem.lines().filter_map(range_of_ram).fold(0, u64::saturating_add)
}

fn range_of_ram(line: &str) -> Option<u64> {
    // Lines that begin with a space describe parts of the range above.
    let range = line.strip_suffix(" : System RAM").filter(|r| !r.starts_with(' '))?;
    let (first, last) = range.split_once('-')?;
    let first = u64::from_str_radix(first, 16).ok()?;
    let last = u64::from_str_radix(last, 16).ok()?;
    // Without root every address reads as 0, so a range of one byte is no information.
    if last == 0 {
        return None;
    }
    last.checked_sub(first)?.checked_add(1)
}

/// Logical CPUs that are online.
pub(super) fn cpus(machine: &Machine) -> Result<u32, ProbeError> {
    let path = machine.sys.join("devices/system/cpu/online");
    let list = attribute(&path).unwrap_or_default();
    match count(&list) {
        Some(cpus) if cpus != 0 => Ok(cpus),
        Some(_) | None => {
            Err(ProbeError::Unexpected { path, what: format!("{list:?} is not a list of CPUs") })
        }
    }
}

/// How many numbers a list such as `0-3,8` holds.
fn count(text: &str) -> Option<u32> {
    let mut total: u32 = 0;
    for range in text.split(',') {
        let (begin, end) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (begin.parse().ok()?, end.parse().ok()?);
        total = total.checked_add(last.checked_sub(first)?.checked_add(1)?)?;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cpus() {
        assert_eq!(count("0"), Some(1));
        assert_eq!(count("0-3,8"), Some(5));
        assert_eq!(count("3-0"), None);
        assert_eq!(count(""), None);
    }

    #[test]
    fn memory_map_of_a_3_gib_machine() {
        let map = "00000000-00000fff : Reserved\n00001000-0009fbff : System RAM\n\
                   00100000-7ffdbfff : System RAM\n  01000000-01ffffff : Kernel code\n\
                   100000000-13fffffff : System RAM\n";
        assert_eq!(system_ram(map), 0x9_ec00 + 0x7fed_c000 + 0x4000_0000);
    }

    #[test]
    fn a_map_with_hidden_addresses_says_nothing() {
        assert_eq!(system_ram("00000000-00000000 : System RAM\n"), 0);
        assert_eq!(mem_total("MemTotal:        3028024 kB\nMemFree: 1 kB\n"), Some(3_100_696_576));
    }
}
