//! What the installer does: ports, hosts, engine, front ends.
