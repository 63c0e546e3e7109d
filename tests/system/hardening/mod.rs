//! What the kernel enforces, seen from outside and from inside the processes that it is enforced on.

mod users;
