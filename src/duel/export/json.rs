//! JSON as TensorRT writes it: not always by the book. Separators within metadata come as bare control characters, or
//! escaped as `\x1E`, neither of which JSON has.

use super::ExportError;
use serde_json::Value;

/// Parses by the book, and if that fails, what a C++ program may have made of it.
pub(super) fn parse(text: &str) -> Result<Value, ExportError> {
    match serde_json::from_str(text) {
        Ok(value) => Ok(value),
        // The first error is about the file as it is.
        Err(error) => serde_json::from_str(&mended(text)).map_err(|_| error.into()),
    }
}

/// With every control character in a string, bare or as `\xHH`, escaped as JSON has it.
fn mended(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    let (mut inside, mut rest) = (false, text);
    while let Some(sign) = rest.chars().next() {
        let mut length = sign.len_utf8();
        match sign {
            '"' => {
                inside = !inside;
                out.push(sign);
            }
            '\\' if inside => {
                let hex = rest
                    .get(2..4)
                    .filter(|hex| rest[1..].starts_with('x') && hex.bytes().all(|b| b.is_ascii_hexdigit()));
                match hex {
                    Some(hex) => {
                        out.push_str("\\u00");
                        out.push_str(hex);
                        length = 4;
                    }
                    None => {
                        let escaped = rest[1..].chars().next();
                        out.push(sign);
                        out.extend(escaped);
                        length += escaped.map_or(0, char::len_utf8);
                    }
                }
            }
            _ if inside && u32::from(sign) < 0x20 => out.push_str(&format!("\\u{:04x}", u32::from(sign))),
            _ => out.push(sign),
        }
        rest = &rest[length..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_come_in_three_spellings() {
        for text in ["[\"a\\u001eb\"]", "[\"a\u{1e}b\"]", "[\"a\\x1Eb\"]"] {
            assert_eq!(parse(text).expect("a list"), serde_json::json!(["a\u{1e}b"]), "{text:?}");
        }
        let mixed = "{\"a\\\\x1E\\\"\": \"\u{1f}é\\n\"}";
        assert_eq!(parse(mixed).expect("an object"), serde_json::json!({ "a\\x1E\"": "\u{1f}é\n" }));
    }

    #[test]
    fn what_cannot_be_mended_is_told_as_it_is() {
        for text in ["", "\"", "\"\\", "[1,", "\"\\x", "\"\\xé\"", "{\"a\": nan}"] {
            assert!(matches!(parse(text), Err(ExportError::Json(_))), "{text:?}");
        }
    }
}
