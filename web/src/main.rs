//! The program that trunk builds; everything is in the library, where tests can reach it.

fn main() {
    raft_web::run();
}
