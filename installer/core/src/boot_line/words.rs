//! The words of a kernel line, as the kernel parts them: at spaces outside double quotes.

/// Quotes may stand around a word or around its value; they go away (`next_arg` in
/// `lib/cmdline.c`). What follows `--` is for the first program, and is not looked at here.
pub(super) fn split(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            c if c.is_ascii_whitespace() && !quoted => {
                words.push(std::mem::take(&mut word));
            }
            c => word.push(c),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    if let Some(end) = words.iter().position(|word| word == "--") {
        words.truncate(end);
    }
    words
}
