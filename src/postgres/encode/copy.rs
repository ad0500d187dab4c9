//! The envelope of a binary COPY: header, row starts, NULLs, trailer, and the length before each field.

/// The largest field that is sent. The server forms a row in one allocation below 1 GB (`MaxAllocSize` in
/// `src/include/utils/memutils.h`) before it moves large fields out of it; 64 KB are left for the rest of the row.
pub const FIELD_BYTES_MAX: usize = 0x3fff_ffff - 64 * 1024;

/// Appends the signature, no flags and no extension: what begins every COPY.
pub fn header(out: &mut Vec<u8>) {
    out.extend_from_slice(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0");
}

/// Begins a row of that many fields. PostgreSQL has tables of at most 1600 columns.
#[inline]
pub fn row(fields: u16, out: &mut Vec<u8>) {
    debug_assert!(i16::try_from(fields).is_ok());
    out.extend_from_slice(&fields.to_be_bytes());
}

/// Ends the COPY: the field count −1.
pub fn trailer(out: &mut Vec<u8>) {
    out.extend_from_slice(&(-1_i16).to_be_bytes());
}

/// Appends NULL: the length −1 without a payload.
#[inline]
pub fn null(out: &mut Vec<u8>) {
    out.extend_from_slice(&(-1_i32).to_be_bytes());
}

/// Appends the length of a field whose bytes follow by another way.
#[inline]
pub fn length(bytes: usize, out: &mut Vec<u8>) {
    debug_assert!(bytes <= FIELD_BYTES_MAX);
    out.extend_from_slice(&(bytes as u32).to_be_bytes());
}

// A field whose bytes are there already.
#[inline]
pub(super) fn field(payload: &[u8], out: &mut Vec<u8>) {
    out.reserve(4 + payload.len());
    length(payload.len(), out);
    out.extend_from_slice(payload);
}

// A field of a fixed width: one write for length and payload, so that the buffer's room is asked for once.
#[inline]
pub(super) fn fixed<const N: usize, const FIELD: usize>(payload: [u8; N], out: &mut Vec<u8>) {
    const { assert!(FIELD == N + 4) };
    let mut field = [0; FIELD];
    field[..4].copy_from_slice(&(N as u32).to_be_bytes());
    field[4..].copy_from_slice(&payload);
    out.extend_from_slice(&field);
}

// A field whose length is known only after it was written. Who may write more than `FIELD_BYTES_MAX` looks at
// the buffer afterwards and takes the field back.
#[inline]
pub(super) fn begin(out: &mut Vec<u8>) -> usize {
    out.extend_from_slice(&[0; 4]);
    out.len()
}

#[inline]
pub(super) fn end(from: usize, out: &mut [u8]) {
    let length = (out.len() - from) as u32;
    out[from - 4..from].copy_from_slice(&length.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_copy_is_the_signature_two_zero_words_and_minus_one() {
        let mut out = Vec::new();
        header(&mut out);
        assert_eq!(out.len(), 19);
        trailer(&mut out);
        assert_eq!(out, b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\xff\xff");
    }

    #[test]
    fn rows_state_their_fields_and_null_is_minus_one() {
        let mut out = Vec::new();
        row(2, &mut out);
        null(&mut out);
        field(b"ab", &mut out);
        assert_eq!(out, b"\0\x02\xff\xff\xff\xff\0\0\0\x02ab");
    }
}
