//! Round trips to a KDC over UDP and TCP
