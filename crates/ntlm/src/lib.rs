//! The NTLM security package (MS-NLMP): NTLMv2, both sides.
