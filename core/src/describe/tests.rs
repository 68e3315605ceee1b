//! What each form looks like. The scenes compare many more.
