//! What to send next: the state of one transfer. Pure, no sockets, no clock.

use super::packet::{DEFAULT_BLOCK, ReadRequest};
use std::{ops::Range, time::Duration};

/// Sent again so often before the client is given up.
const MAX_RETRIES: u32 = 6;
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(8);

/// What to do after an acknowledgement or a silence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Send the acknowledgement of the options.
    Options,
    /// Send these blocks; the first is 1.
    Blocks(Range<u64>),
    /// Keep waiting.
    Wait,
    /// Everything has arrived.
    Done,
    /// The client is silent.
    GiveUp,
}

/// One file on its way.
#[derive(Debug)]
pub struct Transfer {
    /// Bytes in a block.
    pub block_size: u64,
    size: u64,
    window: u64,
    wait: Duration,
    /// Blocks that the client has, and blocks that were sent. Block 0 stands for the options.
    acked: u64,
    sent: u64,
    opening: bool,
    retries: u32,
    repeated_at: Option<u64>,
}

impl Transfer {
    /// A transfer of a file of this size, and its first step.
    pub fn start(request: &ReadRequest, size: u64, with_options: bool) -> (Self, Step) {
        let mut transfer = Self {
            block_size: request.block_size.unwrap_or(DEFAULT_BLOCK).into(),
            size,
            window: request.window.unwrap_or(1).into(),
            wait: request.timeout.map_or(FIRST_WAIT, |seconds| Duration::from_secs(seconds.into())),
            acked: 0,
            sent: 0,
            opening: with_options,
            retries: 0,
            repeated_at: None,
        };
        let step = if with_options { Step::Options } else { transfer.advance() };
        (transfer, step)
    }

    /// The last block is shorter than the others, if need be empty.
    pub fn blocks(&self) -> u64 {
        self.size / self.block_size + 1
    }

    /// How long to wait for the client: longer after each silence.
    pub fn patience(&self) -> Duration {
        self.wait.saturating_mul(1 << self.retries.min(8)).min(LONGEST_WAIT)
    }

    /// The client has this block, as 16 bits, and all before it.
    pub fn on_ack(&mut self, block: u16) -> Step {
        let ahead = u64::from(block.wrapping_sub(self.acked as u16));
        if self.opening {
            if block != 0 {
                return Step::Wait;
            }
            self.opening = false;
            return self.advance();
        }
        if ahead > self.sent - self.acked {
            return Step::Wait;
        }
        if ahead == 0 {
            return self.on_repeated_ack();
        }
        self.acked += ahead;
        self.advance()
    }

    /// Nothing came for [`Self::patience`].
    pub fn on_silence(&mut self) -> Step {
        self.retries += 1;
        if self.retries > MAX_RETRIES {
            return Step::GiveUp;
        }
        if self.opening { Step::Options } else { Step::Blocks(self.acked + 1..self.sent + 1) }
    }

    /// With a window the client says once more what it had when a block was lost. Without one a
    /// repeated acknowledgement is an echo, and answering it would double every block from there on.
    fn on_repeated_ack(&mut self) -> Step {
        if self.window == 1 || self.repeated_at == Some(self.acked) {
            return Step::Wait;
        }
        self.repeated_at = Some(self.acked);
        Step::Blocks(self.acked + 1..self.sent + 1)
    }

    fn advance(&mut self) -> Step {
        self.retries = 0;
        if self.acked >= self.blocks() {
            return Step::Done;
        }
        // After a gap the window starts anew behind the last block that arrived (RFC 7440).
        self.sent = (self.acked + self.window).min(self.blocks());
        Step::Blocks(self.acked + 1..self.sent + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn request(block_size: u16, window: u16) -> ReadRequest {
        let (block_size, window) = (Some(block_size), Some(window));
        ReadRequest { file: "f".into(), block_size, window, timeout: None, size: true }
    }

    #[test]
    fn a_file_of_whole_blocks_ends_with_an_empty_one() {
        let (mut transfer, step) = Transfer::start(&request(512, 1), 1024, true);
        assert_eq!((step, transfer.blocks()), (Step::Options, 3));
        for block in 0..3 {
            let next = u64::from(block) + 1;
            assert_eq!(transfer.on_ack(block), Step::Blocks(next..next + 1));
        }
        assert_eq!(transfer.on_ack(3), Step::Done);
    }

    #[test]
    fn an_echoed_acknowledgement_does_not_double_the_traffic() {
        let (mut transfer, _) = Transfer::start(&request(8, 1), 1000, false);
        transfer.on_ack(1);
        assert_eq!(transfer.on_ack(1), Step::Wait);
        assert_eq!(transfer.on_ack(0), Step::Wait);
        assert_eq!(transfer.on_ack(9), Step::Wait, "never sent");
    }

    #[test]
    fn a_lost_block_in_a_window_is_sent_again_from_there() {
        let (mut transfer, step) = Transfer::start(&request(8, 4), 1000, false);
        assert_eq!(step, Step::Blocks(1..5));
        assert_eq!(transfer.on_ack(2), Step::Blocks(3..7));
        assert_eq!(transfer.on_ack(2), Step::Blocks(3..7), "block 3 was lost");
        assert_eq!(transfer.on_ack(2), Step::Wait, "and only once");
        assert_eq!(transfer.on_silence(), Step::Blocks(3..7));
    }

    #[test]
    fn a_silent_client_is_given_up_after_ever_longer_waits() {
        let (mut transfer, _) = Transfer::start(&request(8, 1), 1000, true);
        let mut waited = vec![];
        while transfer.on_silence() != Step::GiveUp {
            waited.push(transfer.patience().as_secs());
        }
        assert_eq!(waited, [2, 4, 8, 8, 8, 8]);
    }

    #[test]
    fn block_numbers_may_wrap_around() {
        let size = 8 * 200_000;
        let (mut transfer, _) = Transfer::start(&request(8, 1), size, false);
        for block in 1..=200_001u64 {
            let step = transfer.on_ack(block as u16);
            let expected = if block == 200_001 { Step::Done } else { Step::Blocks(block + 1..block + 2) };
            assert_eq!(step, expected);
        }
    }

    proptest! {
        /// A client that acknowledges as RFC 7440 says, over a network that loses either direction.
        #[test]
        fn every_block_arrives_over_a_lossy_network(
            size in 0u64..3000,
            block_size in 8u16..600,
            window in 1u16..9,
            losses in proptest::collection::vec(0u8..5, 1..200),
        ) {
            let (mut transfer, mut step) = Transfer::start(&request(block_size, window), size, true);
            let mut loss = losses.iter().cycle();
            let mut lost = |limit: usize, count: &mut usize| { *count += 1; *count < limit && loss.next() == Some(&0) };
            let (mut has, mut opened, mut drops) = (0u64, false, 0usize);
            for _ in 0..20_000 {
                let mut ack = None;
                match step.clone() {
                    Step::Done => break,
                    Step::GiveUp => { prop_assert!(drops < 400, "gave up on a client that answers"); break }
                    Step::Options => if !lost(400, &mut drops) { opened = true; ack = Some(0) },
                    Step::Blocks(blocks) => for block in blocks {
                        prop_assert!(opened && block <= transfer.blocks());
                        if !lost(400, &mut drops) && block == has + 1 { has = block; }
                        ack = Some(has as u16);
                    },
                    Step::Wait => {}
                }
                step = match ack.filter(|_| !lost(400, &mut drops)) {
                    Some(block) => transfer.on_ack(block),
                    None => transfer.on_silence(),
                };
            }
            if step == Step::Done { prop_assert_eq!(has, transfer.blocks()); } else { prop_assert_eq!(step, Step::GiveUp); }
        }

        #[test]
        fn any_sequence_of_acknowledgements_stays_within_the_file(
            size in 0u64..100_000, acks in proptest::collection::vec(any::<u16>(), 0..200), window in 1u16..64,
        ) {
            let (mut transfer, _) = Transfer::start(&request(512, window), size, false);
            for ack in acks {
                if let Step::Blocks(blocks) = transfer.on_ack(ack) {
                    prop_assert!(blocks.start >= 1 && blocks.end <= transfer.blocks() + 1 && blocks.start < blocks.end);
                }
            }
        }
    }
}
