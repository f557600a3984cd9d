//! Tests of the boot state's blocks.

use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

use super::*;

fn state(text: &str) -> Result<BootState, StateError> {
    BootState::decode(&block(text))
}

#[test]
fn a_fresh_installation() {
    let block = BootState::FRESH.encode();
    let text = "# GRUB Environment Block\nslot=a\nother=none\npending=0\ngen=1\n";
    assert!(block.starts_with(text.as_bytes()));
    assert!(block[text.len()..].iter().all(|b| *b == b'#'));
    assert_eq!(BootState::decode(&block), Ok(BootState::FRESH));
}

#[test]
fn what_follows_the_first_sector_does_not_count() {
    let mut block = BootState::FRESH.encode();
    block[LIVE_BYTES..].fill(0xA5);
    assert_eq!(BootState::decode(&block), Ok(BootState::FRESH));
    assert_eq!(BootState::decode(&block[..LIVE_BYTES]), Ok(BootState::FRESH));
}

#[test]
fn nonsense_is_refused() {
    assert_eq!(BootState::decode(&[0; 511]), Err(StateError::TooShort { have: 511 }));
    assert_eq!(BootState::decode(&[0; 1024]), Err(StateError::NoSignature));
    assert_eq!(state("slot=a\n"), Err(StateError::Missing { name: "other" }));
    assert_eq!(state("slot=c\nother=b\npending=0\ngen=1\n"), Err(bad("slot", "c", "a, b")));
    assert_eq!(state("slot=a\nother=b\npending=yes\ngen=1\n"), Err(bad("pending", "yes", "0, 1")));
    assert_eq!(
        state("slot=a\nother=b\npending=0\ngen=4294967296\n"),
        Err(bad("gen", "4294967296", "0 to 4294967295"))
    );
    assert_eq!(
        state("slot=a\nslot=b\nother=b\npending=0\ngen=1\n"),
        Err(StateError::Twice { name: "slot".into() })
    );
}

#[test]
fn bless_ends_the_trial_and_raises_the_generation() {
    let trial = BootState { slot: Slot::B, other: Other::A, trial: Trial::Pending, generation: 7 };
    let want = BootState { trial: Trial::Over, generation: 8, ..trial };
    assert_eq!(trial.blessed(), want);
    assert_eq!(BootState::FRESH.blessed().generation, 2);
}

#[test]
fn tries() {
    for n in 0..=TRIES {
        assert_eq!(decode_tries(&tries_block(n)), Ok(n));
    }
    assert_eq!(decode_tries(&tries_block(200)), Ok(TRIES));
    assert_eq!(decode_tries(&block("tries=4\n")), Err(bad("tries", "4", "0 to 3")));
    assert_eq!(decode_tries(&block("tries=03\n")), Err(bad("tries", "03", "0 to 3")));
}

#[test]
fn a_reason_is_cut_between_characters() {
    assert_eq!(decode_reason(&reason_block("xl does not answer")).unwrap(), "xl does not answer");
    assert_eq!(decode_reason(&reason_block("")), None);
    let long = "ü".repeat(400);
    assert_eq!(decode_reason(&reason_block(&long)).unwrap(), "ü".repeat(255));
}

proptest! {
    #[test]
    fn every_state_survives(b in any::<bool>(), other in 0_usize..4, trial in any::<bool>(),
                            generation in any::<u32>()) {
        let state = BootState {
            slot: if b { Slot::B } else { Slot::A },
            other: [Other::A, Other::B, Other::Old, Other::None][other],
            trial: if trial { Trial::Pending } else { Trial::Over },
            generation,
        };
        let block = state.encode();
        prop_assert!(block[LIVE_BYTES..].iter().all(|b| *b == b'#'));
        prop_assert_eq!(BootState::decode(&block), Ok(state));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..1200)) {
        let mut block = BootState::FRESH.encode().to_vec();
        let len = block.len().min(bytes.len());
        block[..len].iter_mut().zip(&bytes).skip(25).for_each(|(to, from)| *to = *from);
        drop(BootState::decode(&block));
        drop(decode_tries(&bytes));
        drop(decode_reason(&bytes));
    }
}
