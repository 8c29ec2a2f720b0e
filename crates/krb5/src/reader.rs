//! A cursor over a file's bytes that cannot read past the end.

/// What was left was shorter than what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Short {
    /// Where the read began.
    pub(crate) offset: usize,
    /// How many bytes were asked for.
    pub(crate) needed: usize,
}

/// Byte order of the integers in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Big,
    Little,
}

impl Order {
    /// The order of the machine, which the oldest file formats use.
    pub(crate) const NATIVE: Self = if cfg!(target_endian = "big") {
        Self::Big
    } else {
        Self::Little
    };

    /// The bytes of a number.
    pub(crate) fn u32(self, number: u32) -> [u8; 4] {
        match self {
            Self::Big => number.to_be_bytes(),
            Self::Little => number.to_le_bytes(),
        }
    }
}

/// Reads integers and counted strings in turn; every length is checked against what is left, so
/// no more is ever allocated than the input is long.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    left: &'a [u8],
    offset: usize,
    order: Order,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8], order: Order) -> Self {
        Self {
            left: bytes,
            offset: 0,
            order,
        }
    }

    pub(crate) fn offset(&self) -> usize {
        self.offset
    }

    pub(crate) fn order(&self) -> Order {
        self.order
    }

    pub(crate) fn remaining(&self) -> usize {
        self.left.len()
    }

    /// What is left, without taking it.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.left
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], Short> {
        let Some((head, tail)) = self.left.split_at_checked(count) else {
            return Err(Short {
                offset: self.offset,
                needed: count,
            });
        };
        self.left = tail;
        self.offset = self.offset.saturating_add(count);
        Ok(head)
    }

    /// A reader over the next `count` bytes alone, with offsets of the whole.
    pub(crate) fn sub(&mut self, count: usize) -> Result<Self, Short> {
        let offset = self.offset;
        Ok(Self {
            left: self.take(count)?,
            offset,
            order: self.order,
        })
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Short> {
        let short = Short {
            offset: self.offset,
            needed: N,
        };
        let (head, tail) = self.left.split_first_chunk::<N>().ok_or(short)?;
        self.left = tail;
        self.offset = self.offset.saturating_add(N);
        Ok(*head)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Short> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Short> {
        let bytes = self.array()?;
        Ok(match self.order {
            Order::Big => u16::from_be_bytes(bytes),
            Order::Little => u16::from_le_bytes(bytes),
        })
    }

    pub(crate) fn i16(&mut self) -> Result<i16, Short> {
        self.u16().map(u16::cast_signed)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Short> {
        let bytes = self.array()?;
        Ok(match self.order {
            Order::Big => u32::from_be_bytes(bytes),
            Order::Little => u32::from_le_bytes(bytes),
        })
    }

    pub(crate) fn i32(&mut self) -> Result<i32, Short> {
        self.u32().map(u32::cast_signed)
    }

    /// A string behind its 16-bit length.
    pub(crate) fn counted16(&mut self) -> Result<&'a [u8], Short> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }

    /// A string behind its 32-bit length.
    pub(crate) fn counted32(&mut self) -> Result<&'a [u8], Short> {
        let length = self.u32()?;
        // A length that the address space cannot hold is past the end in any case.
        self.take(usize::try_from(length).unwrap_or(usize::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_in_both_orders() {
        let bytes = [0x01, 0x02, 0xff, 0xff, 0xff, 0xfe];
        let mut big = Reader::new(&bytes, Order::Big);
        assert_eq!((big.u16(), big.i32()), (Ok(0x0102), Ok(-2)));
        let mut little = Reader::new(&bytes, Order::Little);
        assert_eq!((little.u16(), little.u32()), (Ok(0x0201), Ok(0xfeff_ffff)));
    }

    #[test]
    fn a_length_past_the_end_is_short_and_tells_where() {
        let mut reader = Reader::new(&[0xff, 0xff, 0xff, 0xff, 0], Order::Big);
        assert_eq!(
            reader.counted32(),
            Err(Short {
                offset: 4,
                needed: usize::try_from(u32::MAX).unwrap()
            })
        );
    }
}
