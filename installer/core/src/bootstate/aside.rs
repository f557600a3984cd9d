//! Why the chosen system is not the one that runs, in words for people.

use super::{BootState, GIVEN_UP, Other, TRIES, Trial};

/// What a running system says when the boot state names another one: on the console, in the
/// message of the day, in `status`. `None` where it runs as chosen, and is still meant to.
///
/// `tries` is the counter, `None` where it is damaged; `reason` is what the other system left of
/// itself. It leaves none when it never came to user space. `running` is a slot, or the system that
/// was taken over, which is none.
pub fn aside(
    state: BootState,
    tries: Option<u8>,
    running: Other,
    reason: Option<&str>,
) -> Option<String> {
    let chosen = state.slot;
    let is_chosen = running == chosen.into();
    let running = match running {
        Other::Old => "the old system".to_owned(),
        Other::A | Other::B | Other::None => format!("slot {}", running.word()),
    };
    if is_chosen {
        // A takeover that was given up while it ran is not blessed any more.
        let given_up = (state.trial, tries, reason) == (Trial::Pending, Some(0), Some(GIVEN_UP));
        return given_up.then(|| {
            format!("the trial of {running} was given up, another system boots the next time")
        });
    }
    let why = reason.unwrap_or("none, its user space was never reached, or could not be judged");
    Some(match (state.trial, tries) {
        (Trial::Over, _) => {
            format!("{running} runs for one boot, slot {chosen} is the chosen one")
        }
        (Trial::Pending, Some(0)) => format!(
            "slot {chosen} was started {TRIES} times and not blessed, {running} runs again; \
             the reason that it gave: {why}"
        ),
        (Trial::Pending, Some(TRIES)) => {
            format!("{running} runs for one boot, slot {chosen} still waits for its {TRIES} tries")
        }
        (Trial::Pending, Some(left)) => format!(
            "slot {chosen} is on trial with {left} of {TRIES} tries left, {running} runs; \
             the reason that the failed try gave: {why}"
        ),
        (Trial::Pending, None) => format!(
            "slot {chosen} is on trial and the count of its tries cannot be read, {running} \
             runs again; the reason that it gave: {why}"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bootstate::Slot;

    #[test]
    fn each_way_to_run_aside_is_told_apart() {
        let pending =
            BootState { slot: Slot::B, other: Other::A, trial: Trial::Pending, generation: 3 };
        let over = BootState { trial: Trial::Over, ..pending };
        let told = |state, tries, reason| aside(state, tries, Other::A, reason).unwrap();
        assert_eq!(aside(pending, Some(2), Other::B, Some("x")), None);
        assert_eq!(aside(pending, Some(0), Other::B, Some("no bridge")), None, "the third try");
        assert!(aside(pending, Some(0), Other::B, Some(GIVEN_UP)).unwrap().contains("given up"));
        let texts = [
            told(over, Some(0), None),
            told(pending, Some(3), None),
            told(pending, Some(1), Some("no bridge")),
            told(pending, Some(0), None),
            told(pending, None, None),
        ];
        assert!(texts[1].contains("still waits"), "{}", texts[1]);
        assert!(texts[2].contains("1 of 3 tries left") && texts[2].contains("no bridge"));
        assert!(texts[3].contains("3 times") && texts[3].contains("never reached"));
        assert!(texts[4].contains("cannot be read"));
        let old = aside(pending, Some(0), Other::Old, Some("no bridge")).unwrap();
        assert!(old.contains("not blessed, the old system runs again"), "{old}");
        let all: std::collections::BTreeSet<_> = texts.iter().collect();
        assert_eq!(all.len(), texts.len());
    }
}
