/** Numbers of the kernel's uapi headers, under their names there. */

// linux/netfilter/nfnetlink.h: the type of a message is subsystem · 256 + message
export const NFNL_SUBSYS_CTNETLINK = 1
export const NFNL_SUBSYS_NFTABLES = 10
export const NFNLGRP_NFTABLES = 7
export const NFNLGRP_NFTRACE = 9
export const NFNL_MSG_BATCH_BEGIN = 16
export const NFNL_MSG_BATCH_END = 17

// linux/netlink.h, of deletions: refused where something is left in it
export const NLM_F_NONREC = 0x100

// linux/netfilter/nf_tables.h, enum nf_tables_msg_types
const nft = (message: number): number => (NFNL_SUBSYS_NFTABLES << 8) | message
export const NFT_MSG_NEWTABLE = nft(0)
export const NFT_MSG_GETTABLE = nft(1)
export const NFT_MSG_DELTABLE = nft(2)
export const NFT_MSG_NEWCHAIN = nft(3)
export const NFT_MSG_GETCHAIN = nft(4)
export const NFT_MSG_DELCHAIN = nft(5)
export const NFT_MSG_NEWRULE = nft(6)
export const NFT_MSG_GETRULE = nft(7)
export const NFT_MSG_DELRULE = nft(8)
export const NFT_MSG_NEWSET = nft(9)
export const NFT_MSG_GETSET = nft(10)
export const NFT_MSG_DELSET = nft(11)
export const NFT_MSG_NEWSETELEM = nft(12)
export const NFT_MSG_GETSETELEM = nft(13)
export const NFT_MSG_DELSETELEM = nft(14)
export const NFT_MSG_NEWGEN = nft(15)
export const NFT_MSG_GETGEN = nft(16)
export const NFT_MSG_TRACE = nft(17)
export const NFT_MSG_NEWOBJ = nft(18)
export const NFT_MSG_GETOBJ = nft(19)
export const NFT_MSG_DELOBJ = nft(20)

// enum nft_table_flags
export const NFT_TABLE_F_DORMANT = 0x1
export const NFT_TABLE_F_OWNER = 0x2

// enum nft_set_flags
export const NFT_SET_ANONYMOUS = 0x1
export const NFT_SET_CONSTANT = 0x2
export const NFT_SET_INTERVAL = 0x4
export const NFT_SET_MAP = 0x8
export const NFT_SET_TIMEOUT = 0x10
export const NFT_SET_EVAL = 0x20
export const NFT_SET_OBJECT = 0x40
export const NFT_SET_CONCAT = 0x80

// NFT_OBJECT_*
export const NFT_OBJECT_COUNTER = 1

// enum nft_set_elem_flags
export const NFT_SET_ELEM_INTERVAL_END = 0x1

// enum nft_registers: four of 16 bytes, which are sixteen of 4 bytes as well
export const NFT_REG_VERDICT = 0
export const NFT_REG_1 = 1
export const NFT_REG32_00 = 8

// enum nft_fib_flags, nft_lookup_flags, nft_nat_types
export const NFTA_FIB_F_SADDR = 1
export const NFTA_FIB_F_DADDR = 2
export const NFTA_FIB_F_IIF = 8
export const NFTA_FIB_F_PRESENT = 32
export const NFT_LOOKUP_F_INV = 1
export const NFT_NAT_SNAT = 0
export const NFT_NAT_DNAT = 1

// linux/netfilter/nf_conntrack_common.h
export const IPS_DST_NAT = 0x20

// linux/netfilter/nfnetlink_conntrack.h
export const IPCTNL_MSG_CT_GET = (NFNL_SUBSYS_CTNETLINK << 8) | 1
export const IPCTNL_MSG_CT_DELETE = (NFNL_SUBSYS_CTNETLINK << 8) | 2
