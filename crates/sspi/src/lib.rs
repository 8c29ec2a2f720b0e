//! The SSPI contract: packages, function table, buffers, flags, status
