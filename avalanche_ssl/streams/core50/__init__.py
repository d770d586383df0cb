"""CORe50: index, official orders, benchmark."""
