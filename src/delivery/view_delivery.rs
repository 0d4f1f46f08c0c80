//! Renders records for people as the last step before the output.

use super::{Delivered, Delivery, DeliveryEnd, InputEnd};
use crate::source::Group;
use crate::source::position::Position;
use crate::view::View;
use kata_records::Encoded;

/// The capacity that the buffer keeps. Only giant records exceed it.
const MAX_KEPT: usize = 4 << 20;

/// A delivery that renders records and passes their lines on.
#[derive(Debug)]
pub struct ViewDelivery {
    inner: Box<dyn Delivery>,
    view: View,
    /// The rendered lines. The buffer is reused.
    lines: Vec<u8>,
}

impl ViewDelivery {
    /// Returns a delivery that shows records in this view.
    #[must_use]
    pub fn new(inner: Box<dyn Delivery>, view: View) -> ViewDelivery {
        ViewDelivery { inner, view, lines: Vec::new() }
    }
}

impl Delivery for ViewDelivery {
    fn begin_input(&mut self, input: &Group) -> bool {
        self.inner.begin_input(input)
    }

    fn end_input(&mut self, ended: InputEnd) -> Result<(), DeliveryEnd> {
        self.inner.end_input(ended)
    }

    fn deliver(&mut self, out: &mut Encoded, position: Option<Position>) -> Result<(), DeliveryEnd> {
        self.lines.clear();
        self.lines.shrink_to(MAX_KEPT);
        self.view.render(&out.bytes, &mut self.lines);
        // Lines are no records, so nothing behind this step may look at rows.
        out.rows.clear();
        std::mem::swap(&mut out.bytes, &mut self.lines);
        self.inner.deliver(out, position)
    }

    fn idle(&mut self) {
        self.inner.idle();
    }

    fn flush(&mut self) {
        self.inner.flush();
    }

    fn bytes(&self) -> u64 {
        self.inner.bytes()
    }

    fn finish(self: Box<Self>) -> Delivered {
        self.inner.finish()
    }
}
