//! Replay and sequence detection over per-message sequence numbers (RFC 2743 section 1.2.3,
//! RFC 4121 section 4.2.3).

use crate::error::SequenceError;

/// How many numbers behind the newest one are remembered one by one.
const WINDOW: u64 = 64;

/// How wide the sequence numbers of a mechanism's tokens are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    /// RFC 4121 section 4.2.6: 64 bits.
    Bits64,
    /// RFC 1964 section 1.2.1.2, RFC 4757 section 7: 32 bits, which wrap.
    Bits32,
}

impl Width {
    const fn mask(self) -> u64 {
        match self {
            Self::Bits64 => u64::MAX,
            Self::Bits32 => 0xffff_ffff,
        }
    }

    /// Whether a number can be one of this width; the error says why not.
    pub(crate) const fn check(self, number: u64) -> Result<(), &'static str> {
        if number & self.mask() != number {
            return Err("it has more bits than the tokens of its key");
        }
        Ok(())
    }
}

/// Which irregularities a context reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Detection {
    /// REPLAY_DETECT: repeated and too old messages.
    pub(crate) replay: bool,
    /// SEQUENCE_DETECT: messages out of order, too.
    pub(crate) sequence: bool,
}

/// The numbers received so far in one direction.
///
/// [`Self::accept`] is called only once a message's MAC held, so that nobody without the key can
/// move the window.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    width: Width,
    detection: Detection,
    /// The number expected next.
    next: u64,
    /// How many numbers lie between the first expected one and `next`.
    span: u64,
    /// Bit `i` stands for number `next - 1 - i`.
    seen: u64,
}

/// How far a window has come: what of it goes into the image of a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WindowPosition {
    pub(crate) next: u64,
    pub(crate) span: u64,
    pub(crate) seen: u64,
}

impl WindowPosition {
    /// At the first number that is expected.
    pub(crate) const fn first(next: u64) -> Self {
        Self {
            next,
            span: 0,
            seen: 0,
        }
    }
}

impl Window {
    pub(crate) const fn position(&self) -> WindowPosition {
        WindowPosition {
            next: self.next,
            span: self.span,
            seen: self.seen,
        }
    }

    /// Goes to where another window of the same context was; the error is the rule that the position breaks.
    pub(crate) fn go_to(&mut self, position: WindowPosition) -> Result<(), &'static str> {
        self.width.check(position.next)?;
        let remembered = u32::try_from(position.span).unwrap_or(u32::MAX);
        let beyond = position.seen.checked_shr(remembered).unwrap_or_default();
        if beyond != 0 {
            return Err("it remembers numbers from before the first one");
        }
        (self.next, self.span, self.seen) = (position.next, position.span, position.seen);
        Ok(())
    }

    pub(crate) const fn new(first: u64, width: Width, detection: Detection) -> Self {
        Self {
            width,
            detection,
            next: first & width.mask(),
            span: 0,
            seen: 0,
        }
    }

    /// Takes the number of a message whose MAC held.
    ///
    /// A gap moves the window on and an unsequenced message is marked as seen: both are authentic.
    pub(crate) fn accept(&mut self, number: u64) -> Result<(), SequenceError> {
        if !self.detection.replay && !self.detection.sequence {
            return Ok(());
        }
        let mask = self.width.mask();
        let ahead = number.wrapping_sub(self.next) & mask;
        if ahead <= mask >> 1 {
            self.advance(number, ahead);
            if ahead > 0 && self.detection.sequence {
                return Err(SequenceError::Gap { missing: ahead });
            }
            return Ok(());
        }
        self.late(self.next.wrapping_sub(number) & mask)
    }

    fn advance(&mut self, number: u64, ahead: u64) {
        let step = ahead.saturating_add(1);
        self.seen = match u32::try_from(step) {
            Ok(shift) => self.seen.checked_shl(shift).unwrap_or(0),
            Err(_) => 0,
        } | 1;
        self.next = number.wrapping_add(1) & self.width.mask();
        self.span = self.span.saturating_add(step);
    }

    /// `behind` is at least 1: how far before the expected number the message is.
    fn late(&mut self, behind: u64) -> Result<(), SequenceError> {
        if behind > self.span || behind > WINDOW {
            return Err(SequenceError::Old { behind });
        }
        let bit = 1_u64
            .checked_shl(u32::try_from(behind.saturating_sub(1)).unwrap_or(u32::MAX))
            .unwrap_or(0);
        if self.seen & bit != 0 {
            return Err(SequenceError::Duplicate { behind });
        }
        self.seen |= bit;
        if self.detection.sequence {
            return Err(SequenceError::Unsequenced { behind });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: Detection = Detection {
        replay: true,
        sequence: true,
    };
    const REPLAY: Detection = Detection {
        replay: true,
        sequence: false,
    };

    fn window(first: u64, detection: Detection) -> Window {
        Window::new(first, Width::Bits64, detection)
    }

    /// Conformance row 130.
    #[test]
    fn each_irregularity_has_its_own_name() {
        let mut window = window(10, BOTH);
        assert_eq!(window.accept(10), Ok(()));
        assert_eq!(
            window.accept(10),
            Err(SequenceError::Duplicate { behind: 1 })
        );
        assert_eq!(window.accept(12), Err(SequenceError::Gap { missing: 1 }));
        assert_eq!(
            window.accept(11),
            Err(SequenceError::Unsequenced { behind: 2 })
        );
        assert_eq!(
            window.accept(11),
            Err(SequenceError::Duplicate { behind: 2 })
        );
        assert_eq!(window.accept(13), Ok(()));
        assert_eq!(window.accept(9), Err(SequenceError::Old { behind: 5 }));
        assert_eq!(
            window.accept(1000),
            Err(SequenceError::Gap { missing: 986 })
        );
        assert_eq!(window.accept(14), Err(SequenceError::Old { behind: 987 }));
    }

    /// Conformance row 130: with replay detection alone, order does not matter.
    #[test]
    fn replay_detection_alone_lets_order_be() {
        let mut window = window(0, REPLAY);
        for number in [0, 5, 3, 4, 1, 70, 69] {
            assert_eq!(window.accept(number), Ok(()), "{number}");
        }
        for number in [70, 69] {
            assert!(matches!(
                window.accept(number),
                Err(SequenceError::Duplicate { .. })
            ));
        }
        assert!(matches!(window.accept(2), Err(SequenceError::Old { .. })));
    }

    /// Conformance row 130: flags off means checks off.
    #[test]
    fn without_detection_anything_goes() {
        let mut window = window(7, Detection::default());
        for number in [7, 7, 1, 900, 7] {
            assert_eq!(window.accept(number), Ok(()));
        }
    }

    #[test]
    fn numbers_wrap_at_their_width() {
        let mut wide = window(u64::MAX, BOTH);
        assert_eq!(wide.accept(u64::MAX), Ok(()));
        assert_eq!(wide.accept(0), Ok(()));
        assert_eq!(
            wide.accept(u64::MAX),
            Err(SequenceError::Duplicate { behind: 2 })
        );
        let mut narrow = Window::new(0xffff_ffff, Width::Bits32, BOTH);
        assert_eq!(narrow.accept(0xffff_ffff), Ok(()));
        assert_eq!(narrow.accept(0), Ok(()));
        assert_eq!(
            narrow.accept(0),
            Err(SequenceError::Duplicate { behind: 1 })
        );
        // RFC 4121 section 4.2.3: a 32-bit start goes on in 64 bits without wrapping.
        let mut carried = window(0xffff_ffff, BOTH);
        assert_eq!(carried.accept(0xffff_ffff), Ok(()));
        assert_eq!(carried.accept(0x1_0000_0000), Ok(()));
    }

    #[test]
    fn the_edge_of_the_window_is_exact() {
        let mut window = window(0, REPLAY);
        assert_eq!(window.accept(100), Ok(()));
        // next is 101: number 37 is 64 behind and still remembered, 36 is not.
        assert_eq!(window.accept(37), Ok(()));
        assert_eq!(
            window.accept(37),
            Err(SequenceError::Duplicate { behind: 64 })
        );
        assert_eq!(window.accept(36), Err(SequenceError::Old { behind: 65 }));
    }
}
