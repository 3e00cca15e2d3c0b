//! Every interleaving of two workers on a table's places, and every order that the memory model allows.

use loom::sync::Arc;
use loom::thread;

use super::{counters::Counters, marks::Marks, retransmissions::Retransmissions};

/// Bounded to so many forced switches: without a bound the searches take minutes.
fn explore(preemptions: usize, run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(run);
}

#[test]
fn no_count_is_lost() {
    explore(3, || {
        let table = Arc::new(Counters::new(1).unwrap());
        let other = table.clone();
        let worker = thread::spawn(move || (other.increase(2, 7, 1), other.increase(1, 7, 2)));
        table.increase(1, 7, 1);
        worker.join().unwrap();
        assert_eq!((table.get(1, 7), table.get(2, 7)), (3, 1));
    });
}

#[test]
fn no_raise_is_lost() {
    explore(3, || {
        let table = Arc::new(Counters::new(1).unwrap());
        table.increase(1, 7, 1);
        let other = table.clone();
        let worker = thread::spawn(move || other.increase(1, 7, 2));
        table.increase(1, 7, 4);
        worker.join().unwrap();
        assert_eq!(table.get(1, 7), 7);
    });
}

#[test]
fn one_copy_is_the_first() {
    explore(3, || {
        let table = Arc::new(Retransmissions::new(2).unwrap());
        let other = table.clone();
        // The second message competes for the place.
        let worker = thread::spawn(move || (other.copies(2, 5), other.copies(1, 5)));
        let mine = table.copies(1, 5);
        let (_, theirs) = worker.join().unwrap();
        assert_eq!(mine + theirs, 3);
    });
}

#[test]
fn a_value_is_never_taken_for_another_s() {
    explore(3, || {
        let table = Arc::new(Marks::new(1).unwrap());
        // A full set: both want the place of the oldest.
        (3..7).for_each(|name| table.mark(name, 3, 4));
        let other = table.clone();
        let worker = thread::spawn(move || other.mark(1, 1, 5));
        table.mark(2, 2, 5);
        assert!(matches!(table.marked(1, 5, 9), 0 | 1) && matches!(table.marked(2, 5, 9), 0 | 2));
        worker.join().unwrap();
    });
}
