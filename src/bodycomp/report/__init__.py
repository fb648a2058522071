"""Results for people and spreadsheets: pictures, tables, JSON. No torch, no DICOM."""
