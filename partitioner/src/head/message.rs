//! The boot sector that prints a message and halts: LBA 0 of a disk whose installation has not
//! finished. Its partition table is empty, and without a 0xEE entry neither UEFI nor Linux looks
//! at a GPT behind it.

use super::{CODE_END, SECTOR, SIGNATURE, put};

/// What the disk says from the first write of a fresh install to the last.
pub const NOT_FINISHED: &str = "\r\nxenhost: installation not finished.\r\n\
    This disk does not start yet. Run the installer again.\r\n";

/// The 16-bit program, as (bytes, what they mean). The BIOS loads the sector to linear address
/// 0x7C00, as 0000:7C00 or 07C0:0000; all jumps are relative, so either will do.
///
/// INT 10h, function 0Eh, prints on the screen; INT 14h, function 01h, sends to the first serial
/// port, so that a machine without a screen tells it too. A port that is absent or not ready
/// makes the BIOS time out, which is harmless. The line speed stays as the firmware has set it.
const CODE: &[(&[u8], &str)] = &[
    (&[0xFA], "cli              ; no interrupts while the stack moves"),
    (&[0x31, 0xC0], "xor ax, ax"),
    (&[0x8E, 0xD8], "mov ds, ax       ; data at linear addresses"),
    (&[0x8E, 0xD0], "mov ss, ax"),
    (&[0xBC, 0x00, 0x7C], "mov sp, 0x7C00   ; stack below this sector"),
    (&[0xFB], "sti"),
    (&[0xFC], "cld              ; strings go upwards"),
    (&[0xBE, 0x28, 0x7C], "mov si, 0x7C28   ; the text, right behind the code"),
    // next:
    (&[0xAC], "lodsb            ; next character"),
    (&[0x84, 0xC0], "test al, al"),
    (&[0x74, 0x11], "jz halt          ; 0 ends the text"),
    (&[0x50], "push ax"),
    (&[0xB4, 0x0E], "mov ah, 0x0E     ; teletype output"),
    (&[0xBB, 0x07, 0x00], "mov bx, 0x0007   ; page 0, grey"),
    (&[0xCD, 0x10], "int 0x10"),
    (&[0x58], "pop ax"),
    (&[0xB4, 0x01], "mov ah, 0x01     ; send one character"),
    (&[0x31, 0xD2], "xor dx, dx       ; first serial port"),
    (&[0xCD, 0x14], "int 0x14"),
    (&[0xEB, 0xEA], "jmp next"),
    // halt:
    (&[0xF4], "hlt              ; interrupts stay on: Ctrl-Alt-Del works"),
    (&[0xEB, 0xFD], "jmp halt"),
];

/// Length of [`CODE`], and where the text begins.
const CODE_LEN: usize = {
    let mut len: usize = 0;
    let mut left = CODE;
    while let [(bytes, _), rest @ ..] = left {
        len = len.saturating_add(bytes.len());
        left = rest;
    }
    len
};

/// The longest message, in bytes: the rest is cut off.
pub const MESSAGE_MAX: usize = CODE_END - CODE_LEN - 1;

const _: () = {
    assert!(CODE_LEN == 0x28, "`mov si` names the end of the code");
    assert!(NOT_FINISHED.len() <= MESSAGE_MAX);
};

/// A boot sector that prints `message` on screen and serial line and halts. ASCII with CR LF; the
/// table is empty, the last two bytes are 55 AA.
pub fn disarmed_lba0(message: &str) -> [u8; SECTOR] {
    let mut sector = [0; SECTOR];
    let program = CODE.iter().flat_map(|(bytes, _)| bytes.iter());
    let text = message.as_bytes().iter().take(MESSAGE_MAX);
    for (place, byte) in sector.iter_mut().zip(program.chain(text)) {
        *place = *byte;
    }
    put(&mut sector, SIGNATURE, &[0x55, 0xAA]);
    sector
}
