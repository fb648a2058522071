"""What was measured as HL7 FHIR R4, for hospital systems that read no DICOM reports."""
