//! Taking over a host of another product. Pure: what its disk says in, what is done with it out.

pub mod xenserver;
