"""Spine, ribs and pelvis, head and legs, and how they vary."""
