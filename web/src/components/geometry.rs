//! Where things are on the stage, in the units of its view box.

/// Width and height of the stage.
pub(super) const SIZE: (f64, f64) = (520.0, 490.0);
/// Radius of a peer's disc.
pub(super) const PEER_RADIUS: f64 = 34.0;
/// Radius of the ring on which peers stand, and its centre.
const RING: f64 = 182.0;
const CENTRE: Point = Point { x: SIZE.0 / 2.0, y: 236.0 };
/// Distance between the lanes of the two directions of a link.
const LANE: f64 = 9.0;
/// Messages leave and arrive this far from the disc: beyond its timer.
const CLEARANCE: f64 = 14.0;

/// A place on the stage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    /// To the right.
    pub(crate) x: f64,
    /// Down.
    pub(crate) y: f64,
}

/// The place of peer `id`, counted from 1, of `count`: clockwise, the first at the top.
pub(super) fn place(id: u64, count: usize) -> Point {
    #[expect(clippy::cast_precision_loss, reason = "at most nine peers")]
    let turn = (id.saturating_sub(1)) as f64 / count.max(1) as f64;
    let angle = (turn - 0.25) * std::f64::consts::TAU;
    let radius = if count == 1 { 0.0 } else { RING };
    Point { x: CENTRE.x + radius * angle.cos(), y: CENTRE.y + radius * angle.sin() }
}

/// The place of a message that has come `progress`, of 1, on its way: in the lane on the right of
/// its direction, so that messages that cross never hide each other.
pub(super) fn on_the_way(from: u64, to: u64, progress: f64, count: usize) -> Point {
    let (start, end) = (place(from, count), place(to, count));
    let (dx, dy) = (end.x - start.x, end.y - start.y);
    let length = dx.hypot(dy).max(1.0);
    let (ux, uy) = (dx / length, dy / length);
    let edge = PEER_RADIUS + CLEARANCE;
    let travelled = edge + (length - 2.0 * edge) * progress;
    Point { x: start.x + ux * travelled - uy * LANE, y: start.y + uy * travelled + ux * LANE }
}

/// The part of a circle's circumference that shows `share`, of 1, as the two numbers of a dash
/// pattern.
pub(super) fn dash(radius: f64, share: f64) -> String {
    let whole = std::f64::consts::TAU * radius;
    format!("{:.1} {:.1}", whole * share, whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distance(a: Point, b: Point) -> f64 {
        (a.x - b.x).hypot(a.y - b.y)
    }

    #[test]
    fn nine_peers_do_not_touch_and_stay_on_the_stage() {
        for count in 1..=9usize {
            for a in 1..=count as u64 {
                let at = place(a, count);
                let margin = PEER_RADIUS + CLEARANCE;
                assert!((margin..=SIZE.0 - margin).contains(&at.x));
                assert!((margin..=SIZE.1 - margin).contains(&at.y));
                for b in a + 1..=count as u64 {
                    assert!(distance(at, place(b, count)) > 2.0 * (PEER_RADIUS + CLEARANCE));
                }
            }
        }
    }

    #[test]
    fn the_first_peer_stands_at_the_top_and_the_next_to_its_right() {
        assert!(place(1, 5).y < place(2, 5).y && place(1, 5).x < place(2, 5).x);
    }

    #[test]
    fn messages_travel_from_edge_to_edge_and_pass_each_other() {
        let start = on_the_way(1, 3, 0.0, 5);
        let end = on_the_way(1, 3, 1.0, 5);
        assert!(distance(start, place(1, 5)) > PEER_RADIUS);
        assert!(distance(end, place(3, 5)) > PEER_RADIUS);
        let meeting = distance(on_the_way(1, 3, 0.5, 5), on_the_way(3, 1, 0.5, 5));
        assert!((meeting - 2.0 * LANE).abs() < 1e-9);
    }
}
