//! Decompression of LZ77 with Huffman codes (MS-XCA section 2.2), in which domain controllers send
//! larger claims.

use crate::InvalidPac;
use crate::reader::{Order, Reader};

const STRUCTURE: &str = "compressed claims";
/// Code lengths, of four bits each, in front of every block: for 512 symbols, which are 256 bytes and
/// then matches of 16 lengths times 16 distances (MS-XCA section 2.1.4.3).
const TABLE_LENGTH: usize = 256;
const MAX_CODE_LENGTH: usize = 15;
/// How much a block decompresses to, but for the last.
const BLOCK: usize = 65_536;
/// The shortest match, and the length at which the symbol has no room for more.
const MIN_MATCH: usize = 3;
const LONG_MATCH: u32 = 15;

/// Decompresses to exactly `size` bytes, which the caller has held against its bound.
pub(super) fn decompress(bytes: &[u8], size: usize) -> Result<Vec<u8>, InvalidPac> {
    let mut reader = Reader::new(bytes, Order::Little);
    // Grows with what is decompressed, so that a great size with few bytes costs nothing.
    let mut output = Vec::new();
    while output.len() < size {
        let table = reader.take(TABLE_LENGTH).map_err(super::short(STRUCTURE))?;
        let code = Code::new(table)?;
        let end = size.min(output.len().saturating_add(BLOCK));
        let mut bits = Bits::new(reader);
        while output.len() < end {
            block_symbol(&code, &mut bits, &mut output, size)?;
        }
        reader = bits.reader;
    }
    Ok(output)
}

fn block_symbol(
    code: &Code,
    bits: &mut Bits<'_>,
    output: &mut Vec<u8>,
    size: usize,
) -> Result<(), InvalidPac> {
    let symbol = code.symbol(bits)?;
    let Some(copy) = symbol.checked_sub(256) else {
        output.push(u8::try_from(symbol).map_err(|_| corrupt())?);
        return Ok(());
    };
    // MS-XCA 2.2.4: the length's extension stands before the distance's bits are taken.
    let length = match u32::from(copy & 15) {
        LONG_MATCH => bits.long_match()?,
        short => short,
    };
    let length = super::ndr::to_usize(length).saturating_add(MIN_MATCH);
    let distance_bits = u32::from(copy >> 4);
    let distance = (1 << distance_bits) | bits.take(distance_bits)?;
    let start = output.len().checked_sub(super::ndr::to_usize(distance));
    let room = size.saturating_sub(output.len());
    let start = start.filter(|_| length <= room).ok_or_else(corrupt)?;
    // Byte by byte, since a match may reach into what it writes.
    for index in start..start.saturating_add(length) {
        output.push(*output.get(index).ok_or_else(corrupt)?);
    }
    Ok(())
}

fn corrupt() -> InvalidPac {
    InvalidPac::ClaimsCorrupt
}

/// A canonical Huffman code: how many codes there are of each length, and the symbols in code order.
struct Code {
    counts: [u16; MAX_CODE_LENGTH + 1],
    symbols: Vec<u16>,
}

impl Code {
    fn new(table: &[u8]) -> Result<Self, InvalidPac> {
        let lengths = table.iter().flat_map(|byte| [byte & 15, byte >> 4]);
        let mut symbols: Vec<(u8, u16)> =
            lengths.zip(0..).filter(|(length, _)| *length > 0).collect();
        symbols.sort_unstable();
        let mut counts = [0; MAX_CODE_LENGTH + 1];
        let mut filled: u32 = 0;
        for (length, _) in &symbols {
            if let Some(count) = counts.get_mut(usize::from(*length)) {
                *count += 1;
            }
            filled = filled.saturating_add(0x8000 >> length);
        }
        // MS-XCA 2.2.4: the codes fill the decoding table of 2^15 entries; else it is corrupt.
        if filled != 0x8000 {
            return Err(corrupt());
        }
        Ok(Self {
            counts,
            symbols: symbols.into_iter().map(|(_, symbol)| symbol).collect(),
        })
    }

    /// One bit after the other: codes of a length are consecutive, and follow those that are shorter.
    fn symbol(&self, bits: &mut Bits<'_>) -> Result<u16, InvalidPac> {
        let (mut code, mut first, mut index) = (0u32, 0u32, 0u32);
        for count in self.counts.iter().skip(1).copied().map(u32::from) {
            code |= bits.take(1)?;
            if let Some(place) = code.checked_sub(first).filter(|place| *place < count) {
                let symbol = self.symbols.get(super::ndr::to_usize(index + place));
                return symbol.copied().ok_or_else(corrupt);
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        Err(corrupt())
    }
}

/// Bits from 16-bit words, the highest first; two words are taken ahead, so that bytes that stand
/// between the words are found where the compressor put them (MS-XCA section 2.2.4).
struct Bits<'a> {
    reader: Reader<'a>,
    next: u32,
    /// Bits in `next` beyond the first 16.
    extra: u32,
    /// Bits that were taken ahead past the end and are not there.
    missing: u32,
}

impl<'a> Bits<'a> {
    fn new(reader: Reader<'a>) -> Self {
        let mut bits = Self {
            reader,
            next: 0,
            extra: 16,
            missing: 0,
        };
        let (high, low) = (bits.word(), bits.word());
        bits.next = high << 16 | low;
        bits
    }

    fn word(&mut self) -> u32 {
        self.reader.u16().map_or_else(
            |_| {
                self.missing = self.missing.saturating_add(16);
                0
            },
            u32::from,
        )
    }

    /// At most 15 bits.
    fn take(&mut self, count: u32) -> Result<u32, InvalidPac> {
        if count == 0 {
            return Ok(0);
        }
        let taken = self.next >> (32 - count);
        self.next <<= count;
        if let Some(extra) = self.extra.checked_sub(count) {
            self.extra = extra;
        } else {
            let lacking = count - self.extra;
            self.next |= self.word() << lacking;
            self.extra = 16 - lacking;
        }
        if self.missing > self.extra + 16 {
            return Err(corrupt());
        }
        Ok(taken)
    }

    /// The length of a match that its symbol has no room for: in one byte, two or four.
    fn long_match(&mut self) -> Result<u32, InvalidPac> {
        let short = super::short(STRUCTURE);
        let byte = self.reader.u8().map_err(short)?;
        if byte != u8::MAX {
            return Ok(u32::from(byte) + LONG_MATCH);
        }
        let word = self.reader.u16().map_err(short)?;
        let length = match word {
            0 => self.reader.u32().map_err(short)?,
            length => length.into(),
        };
        // MS-XCA 2.2.4: what the shorter forms can say is not said in the longer one.
        if length < LONG_MATCH {
            return Err(corrupt());
        }
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(lengths: &[(usize, u8)]) -> Vec<u8> {
        let mut table = vec![0; TABLE_LENGTH];
        for (at, byte) in lengths {
            table[*at] = *byte;
        }
        table
    }

    /// MS-XCA section 3.2, the second example: three literals and a long match.
    fn abc() -> Vec<u8> {
        let mut bytes = table(&[(48, 0x30), (49, 0x23), (128, 0x02), (143, 0x20)]);
        bytes.extend([0xa8, 0xdc, 0x00, 0x00, 0xff, 0x26, 0x01]);
        bytes
    }

    /// MS-XCA section 3.2, the first example.
    #[test]
    fn literals_as_the_specification_has_them() {
        let mut bytes = table(&[(48, 0x50), (59, 0x45), (60, 0x44), (61, 0x04), (128, 0x04)]);
        bytes[49..59].fill(0x55);
        bytes.extend([
            0xd8, 0x52, 0x3e, 0xd7, 0x94, 0x11, 0x5b, 0xe9, 0x19, 0x5f, 0xf9, 0xd6, 0x7c, 0xdf,
            0x8d, 0x04, 0x00, 0x00, 0x00, 0x00,
        ]);
        let alphabet: Vec<u8> = (b'a'..=b'z').collect();
        assert_eq!(decompress(&bytes, 26), Ok(alphabet));
    }

    #[test]
    fn a_long_match_as_the_specification_has_it() {
        assert_eq!(decompress(&abc(), 300), Ok(b"abc".repeat(100)));
    }

    /// Conformance row 191.
    #[test]
    fn row_191_what_is_cut_or_corrupt_is_refused() {
        for length in 0..abc().len() {
            assert!(decompress(&abc()[..length], 300).is_err(), "{length}");
        }
        // The match is longer than the output may be.
        assert_eq!(decompress(&abc(), 299), Err(corrupt()));
        // Codes that leave a part of the table empty, or want more than there is.
        for byte in [0x31, 0x00] {
            let mut bytes = abc();
            bytes[48] = byte;
            assert_eq!(decompress(&bytes, 300), Err(corrupt()));
        }
        // A match before the beginning: the first symbol is the match's.
        let mut bytes = abc();
        bytes[256..260].copy_from_slice(&[0x00, 0xc0, 0x00, 0x00]);
        assert!(decompress(&bytes, 300).is_err());
        assert_eq!(decompress(&[], 0), Ok(vec![]));
    }

    /// Conformance row 191: no byte makes it panic or go on for ever.
    #[test]
    fn row_191_every_changed_byte_gives_an_answer() {
        for index in 0..abc().len() {
            for value in 0..=u8::MAX {
                let mut bytes = abc();
                bytes[index] = value;
                if let Ok(output) = decompress(&bytes, 300) {
                    assert_eq!(output.len(), 300);
                }
            }
        }
    }
}
