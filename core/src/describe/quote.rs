//! Bytes as a quoted string, the way Go's `%q` writes them.

use alloc::string::String;
use core::fmt::Write;

/// Appends `bytes` in quotes. What is not printable text is escaped, so nothing is lost.
pub(super) fn write_quoted(line: &mut String, bytes: &[u8]) {
    line.push('"');
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            write_letter(line, letter);
        }
        for byte in chunk.invalid() {
            // Writing to a string cannot fail.
            let _ = write!(line, "\\x{byte:02x}");
        }
    }
    line.push('"');
}

fn write_letter(line: &mut String, letter: char) {
    let short = match letter {
        '"' => "\\\"",
        '\\' => "\\\\",
        '\x07' => "\\a",
        '\x08' => "\\b",
        '\x0c' => "\\f",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        '\x0b' => "\\v",
        _ => "",
    };
    let code = u32::from(letter);
    let _ = match letter {
        _ if !short.is_empty() => line.write_str(short),
        '\0'..=' ' | '\x7f' if letter != ' ' => write!(line, "\\x{code:02x}"),
        _ if is_printable(letter) => line.write_char(letter),
        _ if code <= 0xffff => write!(line, "\\u{code:04x}"),
        _ => write!(line, "\\U{code:08x}"),
    };
}

/// Rust's own notion of what need not be escaped; quotes, which it escapes too, are done already.
fn is_printable(letter: char) -> bool {
    letter == '\'' || letter.escape_debug().count() == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text_and_the_rest_is_escaped() {
        for (bytes, quoted) in [
            (&b""[..], r#""""#),
            (b"put x=1", r#""put x=1""#),
            (b"it's \"quoted\" \\", r#""it's \"quoted\" \\""#),
            (b"\n\t\r\0\x7f", r#""\n\t\r\x00\x7f""#),
            (b"\xff\xc3", r#""\xff\xc3""#),
            ("größe 日本 🦀".as_bytes(), r#""größe 日本 🦀""#),
            ("\u{200b}\u{e0001}".as_bytes(), r#""\u200b\U000e0001""#),
        ] {
            let mut line = String::new();
            write_quoted(&mut line, bytes);
            assert_eq!(line, quoted);
        }
    }
}
